"""A change in all workers or in none; the workers here are pipes, at whose far end the test votes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any

from app.conductor import Conductor
from app.control import Answered, Asked, Decide, Done, Link, Opened, Prepare, Vote
from app.errors import ChangeRefused, ModelNotFound
from app.runtime.changes import Outcome, Plan, Reload
from tests.packages import copy_tiny

NEW = Plan(opened={("tiny", 2): "digest"})
OUTCOME = Outcome(loaded=(("tiny", 2),))


class Workers:
    """Two workers of a conductor, and the thread that it turns on."""

    def __init__(self, root: Path, prepare_s: float = 30.0) -> None:
        self.stopping = False
        self.conductor = Conductor(root, lambda: self.stopping, self._tend, prepare_s)
        self.links = [self.start(slot) for slot in range(2)]
        self._thread = Thread(target=self._turn, daemon=True)
        self._thread.start()

    def _tend(self, pipes: list[Connection], wait_s: float) -> None:
        wait(pipes, wait_s)

    def _turn(self) -> None:
        while not self.stopping:
            self.conductor.turn(0.05)

    def start(self, slot: int) -> Link:
        """Start a worker, which keeps its end of the pipe."""
        link = self.conductor.link(slot)
        kept = Connection(_duplicate(link.pipe))
        self.conductor.started(slot)
        return Link(kept, link.plan)

    def later(self) -> Link:
        """Return what a worker is given that starts in place of the second one, once the conductor rests."""
        self.end()
        return self.start(1)

    def hear(self, slot: int) -> Any:
        """Return what the supervisor says to a worker next."""
        pipe = self.links[slot].pipe
        assert pipe.poll(30), "the supervisor says nothing"
        return pipe.recv()

    def say(self, slot: int, message: object) -> None:
        self.links[slot].pipe.send(message)

    def end(self) -> None:
        self.stopping = True
        self._thread.join(30)


def _duplicate(pipe: Connection) -> int:
    return os.dup(pipe.fileno())


@contextmanager
def workers(root: Path, **more: Any) -> Iterator[Workers]:
    copy_tiny(root)
    made = Workers(root, **more)
    try:
        yield made
    finally:
        made.end()


def asked(two: Workers) -> int:
    """Have worker 0 ask for a change; return its number once both are to prepare it."""
    two.say(0, Asked(7, Reload()))
    found = [two.hear(slot) for slot in range(2)]
    assert found == [Prepare(found[0].number, Reload())] * 2
    return int(found[0].number)


def decided(two: Workers, slot: int, *, counts: bool) -> Decide:
    found = two.hear(slot)
    assert isinstance(found, Decide)
    assert found.counts == counts
    return found


def test_what_all_can_is_made_in_all_and_told_to_whoever_asked(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        number = asked(two)
        for slot in range(2):
            two.say(slot, Vote(number, NEW, OUTCOME))
        for slot in range(2):
            assert decided(two, slot, counts=slot == 0).error is None
            two.say(slot, Done(number))
        assert two.hear(0) == Answered(7, OUTCOME, workers=2)
        assert two.later().plan == NEW, "a worker that starts later comes up with it"


def test_what_one_cannot_is_made_in_none_and_its_reason_told(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        before, number = two.links[0].plan, asked(two)
        two.say(0, Vote(number, NEW, OUTCOME))
        two.say(1, Vote(number, None, error=ChangeRefused("its disk is full")))
        errors = [decided(two, slot, counts=slot == 0).error for slot in range(2)]
        answer = two.hear(0)
        assert (answer.workers, type(answer.error)) == (0, ChangeRefused)
        assert str(answer.error) == "worker 1 could not, so that nothing was changed in any of them: its disk is full"
        assert [str(error) for error in errors] == [str(answer.error)] * 2
        assert two.later().plan == before


def test_what_none_can_is_told_in_the_words_of_the_first(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        number = asked(two)
        for slot in range(2):
            two.say(slot, Vote(number, None, error=ModelNotFound(f"not here, says {slot}")))
        decided(two, 0, counts=True)
        answer = two.hear(0)
        assert (type(answer.error), str(answer.error)) == (ModelNotFound, "not here, says 0")


def test_workers_that_found_other_bytes_change_nothing(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        number = asked(two)
        two.say(0, Vote(number, NEW, OUTCOME))
        two.say(1, Vote(number, replace(NEW, opened={("tiny", 2): "another"}), OUTCOME))
        assert "found different packages on disk" in str(decided(two, 0, counts=True).error)
        assert "found different packages on disk" in str(decided(two, 1, counts=False).error)


def test_a_worker_that_dies_before_it_votes_has_the_change_undone(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        number = asked(two)
        two.say(0, Vote(number, NEW, OUTCOME))
        two.links[1].pipe.close()
        assert (
            str(decided(two, 0, counts=True).error) == "worker 1 has died, so that nothing was changed in any of them"
        )


def test_of_a_dead_worker_and_a_slow_one_the_dead_one_is_named(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        asked(two)
        two.links[1].pipe.close()
        assert "worker 1 has died" in str(decided(two, 0, counts=True).error)


def test_a_worker_that_dies_after_the_decision_comes_up_with_the_change(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        number = asked(two)
        for slot in range(2):
            two.say(slot, Vote(number, NEW, OUTCOME))
        decided(two, 0, counts=True)
        two.links[1].pipe.close()
        two.say(0, Done(number))
        assert two.hear(0) == Answered(7, OUTCOME, workers=2)
        assert two.later().plan == NEW


def test_a_worker_that_takes_too_long_has_the_change_undone(tmp_path: Path) -> None:
    with workers(tmp_path, prepare_s=0.3) as two:
        number = asked(two)
        two.say(0, Vote(number, NEW, OUTCOME))
        assert "worker 1 was not ready in time" in str(decided(two, 0, counts=True).error)
        two.say(1, Vote(number, NEW, OUTCOME))  # too late: it is told to forget all the same
        assert decided(two, 1, counts=False).error is not None


def test_what_the_first_worker_opened_is_what_later_ones_are_held_to(tmp_path: Path) -> None:
    with workers(tmp_path) as two:
        two.say(0, Opened(NEW))
        asked(two)
        assert two.later().plan == NEW
