"""What the command answers without a server: texts line by line, and the list of the packages."""

import sys
import time
from typing import Any

import orjson

from app.api.catalogue import describe
from app.api.predict import answer_body
from app.api.summarize import answer_body as summary_body
from app.base import Base
from app.errors import InvalidRequest
from app.exchange import Query
from app.main import Parts
from app.modelpack.manifest import CLASSIFYING, Task
from app.settings import Settings
from app.summarizing.wishes import Wish


def list_models(settings: Settings, base: Base | None = None) -> int:
    """Write the packages as JSON, those that were refused with the reason; return how many were."""
    parts = Parts(settings, base=base)
    parts.registry.open_all()
    _write({"models": [describe(parts.registry, name) for name in parts.registry.names]})
    return len(parts.registry.failed)


async def predict_lines(
    settings: Settings, lines: list[str], model: str | None, task: Task | None, base: Base | None = None
) -> int:
    """Write each line's answer in order; return how many had none."""
    failed = 0
    parts = Parts(settings, base=base)
    async with parts.running() as service:
        asked = task or (service.registry.task_of(model) if model is not None else None) or "sentiment"
        if asked == "tensor":
            raise InvalidRequest("the task is tensor, numbers to numbers; expected one that reads text")
        for first in range(0, len(lines), settings.max_items):
            answers = await _answers(parts, lines[first : first + settings.max_items], model, asked)
            failed += len(answers["errors"])
            found = sorted([*answers["results"], *answers["errors"]], key=lambda answer: answer["index"])
            for answer in found:
                _write({**answer, "index": first + answer["index"]})
    return failed


async def _answers(parts: Parts, texts: list[str], model: str | None, task: Task) -> dict[str, Any]:
    started = time.perf_counter()
    if task in CLASSIFYING:
        reply = await parts.service.answer(task, Query(texts, model))
        return answer_body(reply, time.perf_counter() - started)
    wish = Wish(texts, "extractive" if task == "extract" else "auto", model=model)
    return summary_body(await parts.summaries.answer(wish), time.perf_counter() - started)


def _write(line: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
