"""Several pieces of work at once, of one request: all of them, or none."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(work: list[Coroutine[Any, Any, None]]) -> None:
    """Await all; where one fails, cancel the others, since the request is lost."""
    if len(work) == 1:
        await work[0]
        return
    tasks = [asyncio.create_task(part) for part in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
