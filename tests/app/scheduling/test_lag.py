"""How late the event loop is, on a real one."""

import asyncio
import time

from app.scheduling.lag import Lag


async def test_a_loop_with_nothing_to_do_is_not_late() -> None:
    lag = Lag()
    assert lag.now_s() == 0.0


async def test_a_loop_that_was_held_up_is_late_while_it_is_and_when_it_comes_round() -> None:
    lag = Lag()
    lag.now_s()
    time.sleep(0.2)  # noqa: ASYNC251 - it is to be held up
    assert lag.now_s() >= 0.15
    await asyncio.sleep(0.01)
    assert lag.now_s() >= 0.15


async def test_what_was_long_ago_is_forgotten() -> None:
    lag = Lag()
    lag.now_s()
    time.sleep(0.1)  # noqa: ASYNC251 - it is to be held up
    await asyncio.sleep(0.15)
    assert lag.now_s() == 0.0
