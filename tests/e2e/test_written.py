"""A trained package that writes, over real sockets: the same summary alone, in company and as a stream."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.packages import FIXTURES, SUMMARIES, copy_package
from tests.server import Server, serving

TEXTS = [
    json.loads(line)["document"]
    for name in ("tiny-news", "tiny-chats")
    for line in (FIXTURES / "data" / "summarization" / name / "dev.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    copy_package(SUMMARIES, root, "summarize-en")
    with serving(root) as running:
        yield running


def ask(server: Server, inputs: Any, **more: Any) -> list[dict[str, Any]]:
    answer = httpx.post(f"{server.url}/v1/summarize", json={"inputs": inputs, **more}, timeout=60)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


async def test_a_summary_is_the_same_alone_in_a_request_and_among_many(server: Server) -> None:
    alone = [ask(server, text)[0] for text in TEXTS]
    assert [{**one, "index": 0} for one in ask(server, TEXTS)] == alone
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=32), timeout=60) as client:
        work = [client.post(f"{server.url}/v1/summarize", json={"inputs": text}) for text in TEXTS * 3]
        answers = [answer.json()["results"][0] for answer in await asyncio.gather(*work)]
    assert answers == alone * 3
    assert len({one["summary"] for one in alone}) > len(TEXTS) / 2, "they are all alike"


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[-1]], ids=["news", "chat"])
def test_a_stream_is_what_one_beam_writes(server: Server, text: str) -> None:
    with httpx.stream("POST", f"{server.url}/v1/summarize", json={"inputs": text, "stream": True}) as answer:
        *said, last = [json.loads(line[6:]) for line in answer.iter_lines() if line]
    (whole,) = ask(server, text, beams=1)
    assert last["results"] == [whole]
    assert "".join(one["text"] for one in said) == whole["summary"]


def test_what_was_copied_is_in_the_text_where_it_says(server: Server) -> None:
    for text in TEXTS:
        (result,) = ask(server, text, explain=True)
        for token in result["explanation"]:
            assert text[token["start"] : token["end"]] == token["text"]
            if token["copied"]:
                assert token["token"].strip() == token["text"].strip().lower()


def test_no_number_is_made_up(server: Server) -> None:
    for text, result in zip(TEXTS, ask(server, TEXTS, min_tokens=8), strict=True):
        assert {word for word in result["summary"].split() if word.isdigit()} <= set(text.replace("!", " ").split())
