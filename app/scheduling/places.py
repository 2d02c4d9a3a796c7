"""The cores that several processes share: one that is left idle by its own process may be taken by another.

Each process runs as many batches at once as it has threads of its own. One that gets a long stream over a single
connection would leave the other processes' cores idle, so it has a few threads more, which run where the board says
that a core is free. The board is memory that all processes see and each writes its own byte of: what it says may be
old by a batch, which costs a moment's crowding and nothing else.
"""

import mmap

_MOST = 255


class Board:
    """How many batches each process runs; made before the processes are forked."""

    def __init__(self, processes: int, cores: int) -> None:
        """``cores``: how many batches all processes together may run at once."""
        self._runs = mmap.mmap(-1, processes)
        self.cores = cores

    def places(self, slot: int) -> "Places":
        """Return the view of the process in ``slot``, which runs nothing yet."""
        made = Places(self, slot)
        made.tell(0)
        return made

    def tell(self, slot: int, runs: int) -> None:
        """Note how many batches a process runs."""
        self._runs[slot] = min(runs, _MOST)

    @property
    def has_free(self) -> bool:
        """Whether fewer batches run than there are cores."""
        return sum(self._runs[:]) < self.cores


class Places:
    """One process's view of the board."""

    def __init__(self, board: Board, slot: int) -> None:
        self._board = board
        self._slot = slot

    @property
    def cores(self) -> int:
        """How many there are, for all processes."""
        return self._board.cores

    @property
    def has_free(self) -> bool:
        """Whether a core is free, for all that is known."""
        return self._board.has_free

    def tell(self, runs: int) -> None:
        """Say how many batches this process runs."""
        self._board.tell(self._slot, runs)
