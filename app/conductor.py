"""The supervisor's side of a change: every worker prepares it, and then all of them make it or none.

What is open is remembered here, so that a worker that starts later comes up with the same. A worker that dies, says no,
or would open other bytes than its siblings while they prepare has the change undone in all; once all are ready it is
made, and who dies after that comes up with it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import structlog

from app.control import Answered, Asked, Decide, Done, Failed, Link, Opened, Prepare, Vote
from app.errors import ChangeRefused, RequestError, StartupError
from app.modelpack.store import survey
from app.runtime.changes import Change, Plan, action
from app.runtime.traffic import Traffic

log = structlog.get_logger("sluice")

_PREPARE_S = 120.0
"""Opening and warming up take seconds; a worker that starts first opens all its packages."""
_COMMIT_S = 10.0
_SLICE_S = 0.1


Said = TypeVar("Said", Vote, Done)


class Conductor:
    """Brings one change at a time to all workers; on one thread."""

    def __init__(
        self,
        root: Path,
        stopping: Callable[[], bool],
        tend: Callable[[list[Connection], float], None],
        prepare_s: float = _PREPARE_S,
        traffic: Mapping[str, Traffic] | None = None,
    ) -> None:
        """Be ready for workers; ``traffic``: how requests are shared out at the start.

        ``stopping`` tells that the supervisor is to end, which no change may hold up. ``tend`` waits until one of these
        pipes has something to say, or for so long, and sees to whatever else the supervisor has to.
        """
        self._plan = Plan(opened=survey(root), traffic=traffic or {})
        self._stopping = stopping
        self._tend = tend
        self._prepare_s = prepare_s
        self._pipes: dict[int, Connection] = {}
        self._far_ends: dict[int, Connection] = {}
        self._is_told = False
        self._asked: deque[tuple[int | None, int, Change]] = deque()
        self._number = 0

    def link(self, slot: int) -> Link:
        """Return what a worker about to start in ``slot`` is given; ``started`` is to be called once it is."""
        self._drop(slot)
        self._pipes[slot], self._far_ends[slot] = Pipe()
        return Link(self._far_ends[slot], self._plan)

    def started(self, slot: int) -> None:
        """Leave a worker's end of the pipe to the worker, whose death is seen by its end."""
        self._far_ends.pop(slot).close()

    def let_go(self) -> None:
        """Close this process's copies of the supervisor's ends, after a fork."""
        for pipe in self._pipes.values():
            pipe.close()

    def ask(self, change: Change) -> None:
        """Make a change at the next turn, for nobody who waits for an answer."""
        self._asked.append((None, 0, change))

    def turn(self, wait_s: float) -> None:
        """Hear the workers for so long, and make the changes that are asked for.

        Raises ``StartupError`` with what the first worker that cannot start says, where none could before.
        """
        self._hear(wait_s)
        while self._asked and not self._stopping():
            slot, ticket, change = self._asked.popleft()
            answered = self._carry_out(ticket, change)
            if slot is not None:
                self._send(slot, answered)

    def _carry_out(self, ticket: int, change: Change) -> Answered:
        self._number += 1
        slots = list(self._pipes)
        votes = self._votes(slots, change)
        error = self._objection(slots, votes)
        if error is None:
            self._plan = votes[slots[0]].plan or self._plan
        for at, slot in enumerate(slots):
            self._send(slot, Decide(self._number, change, error, counts=at == 0))
        if error is not None:
            return Answered(ticket, error=error)
        done = self._collect(slots, Done, _COMMIT_S)
        if len(done) < len(slots):
            log.warning("change_unconfirmed", action=action(change), workers=sorted(set(slots) - done.keys()))
        return Answered(ticket, votes[slots[0]].outcome, workers=len(slots))

    def _votes(self, slots: list[int], change: Change) -> dict[int, Vote]:
        for slot in slots:
            self._send(slot, Prepare(self._number, change))
        return self._collect(slots, Vote, self._prepare_s)

    def _objection(self, slots: list[int], votes: Mapping[int, Vote]) -> RequestError | None:
        """Return why a change cannot be made, in the words of the first worker that cannot."""
        if not slots:
            return ChangeRefused("no worker runs; expected one at least")
        silent = [slot for slot in slots if slot not in votes]
        if silent:
            slot = min(silent, key=lambda slot: slot in self._pipes)  # once one is dead the others are not waited for
            why = "has died" if slot not in self._pipes else "was not ready in time"
            return ChangeRefused(f"worker {slot} {why}, so that nothing was changed in any of them")
        refused = [slot for slot in slots if votes[slot].error is not None]
        if refused:
            error = votes[refused[0]].error
            if len(refused) == len(slots):
                return error
            return ChangeRefused(f"worker {refused[0]} could not, so that nothing was changed in any of them: {error}")
        if any(votes[slot].plan != votes[slots[0]].plan for slot in slots):
            return ChangeRefused(
                "the workers found different packages on disk, so that nothing was changed in any of them; "
                "expected packages that are renamed into place whole"
            )
        return None

    def _collect(self, slots: list[int], kind: type[Said], within_s: float) -> dict[int, Said]:
        """Return what each of ``slots`` says of the present change, as far as it lives and says it in time.

        Where one has died there is nothing to prepare for any more.
        """
        until = time.monotonic() + within_s
        said: dict[int, Said] = {}
        while time.monotonic() < until and not self._stopping():
            left = [slot for slot in slots if slot not in said]
            if all(slot not in self._pipes for slot in left) or (kind is Vote and not self._pipes.keys() >= set(left)):
                break
            heard = self._hear(_SLICE_S)
            said |= {slot: one for slot, one in heard if isinstance(one, kind) and one.number == self._number}
        return said

    def _hear(self, wait_s: float) -> list[tuple[int, Vote | Done]]:
        """Return votes and confirmations; see to all else that the workers say."""
        self._tend(list(self._pipes.values()), wait_s)
        found: list[tuple[int, Vote | Done]] = []
        for slot, pipe in list(self._pipes.items()):
            try:
                if not pipe.poll():
                    continue
                message = pipe.recv()
            except (EOFError, OSError):
                self._drop(slot)
                continue
            match message:
                case Asked(ticket, change):
                    self._asked.append((slot, ticket, change))
                case Opened(plan):
                    self._opened(slot, plan)
                case Failed(reason):
                    self._failed(slot, reason)
                case Vote() | Done():
                    found.append((slot, message))
                case _:
                    raise TypeError(f"This is a bug: worker {slot} said {message!r}")
        return found

    def _opened(self, slot: int, plan: Plan) -> None:
        """Remember what the first worker could open; who comes later is told of it, and held to it."""
        if not self._is_told:
            self._plan, self._is_told = plan, True
        elif plan != self._plan:
            log.error("worker_differs", slot=slot, opened=sorted(plan.opened), expected=sorted(self._plan.opened))

    def _failed(self, slot: int, reason: str) -> None:
        if not self._is_told:
            raise StartupError(reason)
        log.critical("start_failed", slot=slot, reason=reason)

    def _send(self, slot: int, message: object) -> None:
        try:
            if slot in self._pipes:
                self._pipes[slot].send(message)
        except OSError:
            self._drop(slot)

    def _drop(self, slot: int) -> None:
        for ends in (self._pipes, self._far_ends):
            if slot in ends:
                ends.pop(slot).close()
