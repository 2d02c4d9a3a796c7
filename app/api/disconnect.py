"""Notices a client that goes away while its request waits."""

import asyncio
from types import TracebackType
from typing import Any, Self

from starlette.types import Receive

_WATCH_AFTER_S = 0.05
"""Most answers are out before this, and pay nothing for being watched."""


class CancelledWhenGone:
    """Cancels the task in its ``async with`` block once the client has disconnected; ``gone`` tells that it did."""

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        owner = asyncio.current_task()
        self._alarm = loop.call_later(_WATCH_AFTER_S, self._start, owner)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._alarm.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if not self.gone or kind is not asyncio.CancelledError:
            return False
        task = asyncio.current_task()
        return task is not None and task.uncancel() == 0  # someone else cancelled it too: let that through

    def _start(self, owner: asyncio.Task[Any] | None) -> None:
        self._watch = asyncio.ensure_future(self._until_gone(owner))

    async def _until_gone(self, owner: asyncio.Task[Any] | None) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if owner is not None:
            owner.cancel()
