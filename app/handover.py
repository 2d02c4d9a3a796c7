"""Connections on their way from the supervisor, which accepts them, to the worker that serves them.

Workers that accept from one socket are loaded as chance has it: of eight connections one worker can get all. Here one
process accepts and gives each connection to the ready worker that has the fewest. A descriptor goes over a Unix socket,
one byte with it; back come a byte when the worker is ready and one for each connection that ended.
"""

import contextlib
import ctypes
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

_READY, _ENDED, _HERE = b"r", b"-", b"+"
_READ_BYTES = 4096
_LAST_TAKE_S = 0.1
"""How long what is on its way may still come in, once a listener turns new connections away."""
_LAST_GIVE_S = 2.0
"""How long workers whose ways are full have to make room."""
_SO_ATTACH_FILTER = 26
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the TCP header that has its flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone, the beginning of a connection,
    (0x06, 0, 0, 0),  # is dropped,
    (0x06, 0, 0, 0x40000),  # and all else is let in
)
"""A classic BPF program: code, jump if true, jump if false, constant (linux/filter.h)."""


class Lane:
    """The supervisor's end of one worker's way, which keeps the other end too: what a dead worker left can be read."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self.ready = False
        self.connections = 0
        """Connections that were given to the worker and have not ended."""

    def fileno(self) -> int:
        """Return what to wait on for ``hear``."""
        return self._near.fileno()

    def door(self) -> "Door":
        """Return the worker's end, for the process that is forked next."""
        return Door(self._far)

    def give(self, connection: socket.socket) -> bool:
        """Send a connection; ``False`` where the way is full."""
        try:
            socket.send_fds(self._near, [_HERE], [connection.fileno()])
        except OSError:  # full, or as many descriptors are under way as this user may have
            return False
        self.connections += 1
        return True

    def hear(self) -> bool:
        """Take note of what the worker says; tell whether it has just become ready."""
        before = self.ready
        with contextlib.suppress(BlockingIOError):
            while said := self._near.recv(_READ_BYTES):
                self.ready |= _READY in said
                self.connections -= said.count(_ENDED)
        return self.ready and not before

    def let_go(self, *, whole: bool) -> None:
        """Close this process's copies of the near end, or of both, after a fork; they stay open in the supervisor."""
        self._near.close()
        if whole:
            self._far.close()

    def close(self) -> list[socket.socket]:
        """Close both ends; return the connections that the worker never took."""
        left = list(_taken(self._far))
        self._near.close()
        self._far.close()
        return left


class Door:
    """A worker's end: connections come out of it."""

    def __init__(self, far: socket.socket) -> None:
        self._far = far
        self._unsaid = b""

    def fileno(self) -> int:
        """Return what to wait on for ``take``."""
        return self._far.fileno()

    def take(self) -> Iterator[socket.socket]:
        """Yield the connections that have come."""
        return _taken(self._far)

    def say_ready(self) -> None:
        """Tell the supervisor that connections may come."""
        self._say(_READY)

    def say_ended(self) -> None:
        """Tell the supervisor that a connection ended."""
        self._say(_ENDED)

    def _say(self, word: bytes) -> None:
        self._unsaid += word
        with contextlib.suppress(OSError):  # full: said with the next word; or the supervisor is gone
            self._unsaid = self._unsaid[self._far.send(self._unsaid) :]


class Dispatch:
    """Accepts connections and gives each to the ready lane that has the fewest."""

    def __init__(self, listener: socket.socket, lanes: Callable[[], Sequence[Lane]]) -> None:
        """``lanes``: those there are now."""
        listener.setblocking(False)
        self._listener = listener
        self._lanes = lanes
        self._held: deque[socket.socket] = deque()

    @property
    def stuck(self) -> bool:
        """Whether connections are held because no worker takes them, so that no more should be accepted."""
        return bool(self._held)

    def accept(self) -> None:
        """Accept what waits in the listener's queue, unless nobody is there to take it."""
        while self.pass_on() and any(lane.ready for lane in self._lanes()):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            self._held.append(connection)

    def hold(self, connections: Sequence[socket.socket]) -> None:
        """Take connections to give to somebody else."""
        self._held.extend(connections)

    def pass_on(self) -> bool:
        """Give away what is held; tell whether nothing is left."""
        while self._held:
            ready = sorted((lane for lane in self._lanes() if lane.ready), key=lambda lane: lane.connections)
            if not any(lane.give(self._held[0]) for lane in ready):
                return False
            self._held.popleft().close()
        return True

    def let_go(self) -> None:
        """Close this process's copies of the listener and of what is held, after a fork."""
        self._listener.close()
        while self._held:
            self._held.popleft().close()

    def close(self) -> None:
        """Accept and give away what has connected so far, and then nothing more."""
        turn_away(self._listener)
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < _LAST_TAKE_S or (self.stuck and passed_s < _LAST_GIVE_S):
            with contextlib.suppress(OSError):
                self.accept()
            time.sleep(_LAST_TAKE_S / 20)
        self._listener.close()


def turn_away(listener: socket.socket) -> None:
    """Let no new connection begin, so that those in the queue can be accepted and none is reset when it closes.

    A packet that would begin one is dropped, and its sender sends it again a second later, when the listener is gone. A
    handshake under way comes to its end. Only Linux can; elsewhere what connects at the last moment is reset.
    """
    if sys.platform == "linux":
        code = b"".join(struct.pack("HBBI", *step) for step in _NO_SYN)
        program = ctypes.create_string_buffer(code, len(code))
        with contextlib.suppress(OSError):
            listener.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
            )


def _taken(far: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(BlockingIOError):
        while True:
            said, descriptors, *_ = socket.recv_fds(far, 1, 1)
            for descriptor in descriptors:
                yield socket.socket(fileno=descriptor)
            if not said:
                return
