"""Plain requests: answered in columns as the routes answer them one by one, or not at all."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.api.predict import answer_body, labelled_body
from app.exchange import Query
from app.main import Parts
from app.plain import TOKENIZE_INLINE_CHARS
from app.runtime.changes import SetAliases, SetShadow
from app.runtime.traffic import Alias, Shadow
from app.settings import Settings
from tests.packages import CHINESE, copy_package, copy_tiny
from tests.waiting import until

TEXTS = st.one_of(
    st.lists(
        st.sampled_from(["good", "bad", "film", "isn't", "GOOD!!", "10/10", "www.x.org"]), min_size=1, max_size=9
    ).map(" ".join),
    st.sampled_from(["房间很干净", "很好 good", ":-)", "10/10", " ", "", "ᚠᚢᚦ", "это хорошо", "good " * 200]),
    st.text(max_size=12),
)


class Opened:
    """A service with an event loop that is turned from outside."""

    def __init__(self, runner: asyncio.Runner, parts: Parts) -> None:
        self.runner = runner
        self.parts = parts

    def columns(self, query: Query) -> dict[str, Any] | None:
        """Return the body that a plain request gets, ``None`` where it is not plain."""
        return self.runner.run(self._columns(query))

    def each(self, query: Query) -> dict[str, Any]:
        """Return the body that the routes give."""
        return answer_body(self.runner.run(self.parts.service.answer("sentiment", query)), 0.0)

    async def _columns(self, query: Query) -> dict[str, Any] | None:
        service = self.parts.service
        job = service.start("sentiment", query)
        if job is None:
            return None
        await job.ticket.future
        try:
            return labelled_body(service.finish(job), 0.0)
        finally:
            service.give_up(job)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Yield a service over an English package of two versions and a Chinese one."""
    root = tmp_path_factory.mktemp("models")
    copy_tiny(root, "sentiment-en", 1)
    copy_tiny(root, "sentiment-en", 2)
    copy_package(CHINESE, root, "sentiment-zh")
    with asyncio.Runner() as runner:
        parts = Parts(Settings(models_dir=root, threads=1, max_item_chars=100_000))
        living = parts.lifespan(FastAPI())
        runner.run(living.__aenter__())
        runner.run(until(lambda: parts.service.phase == "ready"))
        yield Opened(runner, parts)
        runner.run(living.__aexit__(None, None, None))


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with its scores cut to what another batch cannot change."""
    for result in body["results"]:
        result["scores"] = dict.fromkeys(result["scores"])
        result["score"] = None
    return body | {"timings_ms": dict.fromkeys(body["timings_ms"])}


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=12),
    language=st.sampled_from(["auto", "auto", "en", "zh", "ru"]),
    named=st.sampled_from([{}, {}, {"model": "sentiment-en"}, {"version": 1}, {"model": "sentiment-en", "version": 2}]),
)
@example(texts=["good", ":-)"], language="auto", named={})
@example(texts=["good", "很好"], language="auto", named={})
@example(texts=["good film"] * 40, language="auto", named={})
def test_what_is_plain_is_answered_as_the_routes_answer_it(
    opened: Opened, texts: list[str], language: str, named: dict[str, Any]
) -> None:
    query = Query(texts, language=language, **named)
    columns = opened.columns(query)
    if columns is not None:
        each = opened.each(query)
        for have, want in zip(columns["results"], each["results"], strict=True):
            assert have["score"] == have["scores"][have["label"]]
            assert list(have["scores"].values()) == pytest.approx(list(want["scores"].values()), abs=2e-6)
        assert orjson.dumps(without_times(columns)) == orjson.dumps(without_times(each))


def test_one_text_and_several_of_one_language_are_plain(opened: Opened) -> None:
    for texts in (["good"], ["good", "a bad film", "10/10 good"], ["很好", "房间很干净"]):
        assert opened.columns(Query(texts)) is not None


@pytest.mark.parametrize(
    "query",
    [
        Query(["good", " "]),
        Query([""]),
        Query(["x" * 100_001]),
        Query(["good", "很好"]),
        Query(["это хорошо"]),
        Query(["good"], model="nothing"),
        Query(["good"], version=9),
        Query(["good", "ᚠᚢᚦ"], language="en"),
        Query(["good"], explain=True),
        Query(["good"], sentences=True),
        Query(["good"] * 1_000),
    ],
    ids=[
        *("white space", "nothing", "too long", "two models", "no model", "no such model", "no such version"),
        *("nothing known", "an explanation", "sentences", "too many"),
    ],
)
def test_what_is_not_plain_is_left_to_the_routes(opened: Opened, query: Query) -> None:
    assert opened.columns(query) is None
    assert opened.parts.metrics.registry.get_sample_value("sluice_queue_rows") == 0


def test_many_characters_are_plain_once_their_words_were_cut(opened: Opened) -> None:
    long = Query(["a good film, unmet so far, " * 50] * 8)
    assert sum(map(len, long.texts)) > TOKENIZE_INLINE_CHARS
    assert opened.columns(long) is None
    each = opened.each(long)
    columns = opened.columns(long)
    assert columns is not None
    assert without_times(columns) == without_times(each) == without_times(opened.each(long))
    assert opened.columns(replace(long, texts=[*long.texts, "naïve"])) is None


def test_the_alias_that_a_version_was_found_by_is_named_and_counted(opened: Opened) -> None:
    change = opened.parts.control.change
    opened.runner.run(change(SetAliases("sentiment-en", {"stable": Alias(1)})))
    try:
        query = Query(["good", "bad"])
        body = opened.columns(query)
        assert body is not None
        assert (body["version"], body["alias"]) == (1, "stable")
        assert without_times(body) == without_times(opened.each(query))
    finally:
        opened.runner.run(change(SetAliases("sentiment-en", {})))


def test_a_candidate_is_asked_about_plain_texts_too(opened: Opened) -> None:
    change = opened.parts.control.change
    opened.runner.run(change(SetAliases("sentiment-en", {"stable": Alias(1)})))
    opened.runner.run(change(SetShadow("sentiment-en", Shadow(2, 1.0))))
    agreed = opened.parts.metrics.shadow_texts.labels("sentiment-en", "2", "agreed")
    try:
        assert opened.columns(Query(["good", "bad"])) is not None
        opened.runner.run(until(lambda: agreed._value.get() == 2))
    finally:
        opened.runner.run(change(SetShadow("sentiment-en", None)))
        opened.runner.run(change(SetAliases("sentiment-en", {})))
