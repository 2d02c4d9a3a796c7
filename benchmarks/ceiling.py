"""What no service can beat: the same package, tokenizer and texts in a bare loop with nothing around them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from app.modelpack.store import latest, open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from app.runtime.threads import usable_cores

_WINDOW, _PIECE = 64, 4


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Texts a second on one thread and on all cores, and the CPU seconds of 1,000 texts on one."""

    kind: str
    one_thread_texts_s: float
    all_cores_texts_s: float
    alone_ms: float
    cpu_s_per_1k: float


def measure(folder: Path, kind: str, texts: list[str], seconds: float) -> Ceiling:
    """Time the bare loop: windows of 64 texts sorted by length and run in fours, which is the fastest order found."""
    model = Classifier.open(open_package(latest(folder)), choose("cpu"))
    cores = usable_cores()
    cpu_s = time.process_time()
    one_thread_texts_s = _rate(model, texts, seconds)
    cpu_s = time.process_time() - cpu_s
    return Ceiling(
        kind=kind,
        one_thread_texts_s=one_thread_texts_s,
        all_cores_texts_s=_rate_of_threads(model, texts, seconds, cores),
        alone_ms=_alone_ms(model, texts, seconds),
        cpu_s_per_1k=1000 * cpu_s / (one_thread_texts_s * seconds),
    )


def on_all_cores(folder: Path, texts: list[str], seconds: float) -> Callable[[], float]:
    """Return what tells the texts a second of ``measure`` on all cores, alone, each time that it is called."""
    model = Classifier.open(open_package(latest(folder)), choose("cpu"))
    return lambda: _rate_of_threads(model, texts, seconds, usable_cores())


def alone(folder: Path, texts: list[str], seconds: float) -> Callable[[], float]:
    """Return what tells the p50 of one text after the other in milliseconds, each time that it is called."""
    model = Classifier.open(open_package(latest(folder)), choose("cpu"))
    return lambda: _alone_ms(model, texts, seconds)


def _rate(model: Classifier, texts: list[str], seconds: float) -> float:
    done, at, started = 0, 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        window = texts[at : at + _WINDOW]
        rows = sorted((tokens.ids for tokens in model.tokenizer.encode(window)), key=len)
        for piece in range(0, len(rows), _PIECE):
            model.plain.run(rows[piece : piece + _PIECE])
        done += len(window)
        at = (at + _WINDOW) % (len(texts) - _WINDOW)
    return done / (time.perf_counter() - started)


def _rate_of_threads(model: Classifier, texts: list[str], seconds: float, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _: _rate(model, texts, seconds), range(threads)))


def _alone_ms(model: Classifier, texts: list[str], seconds: float) -> float:
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        (tokens,) = model.tokenizer.encode([texts[len(times) % len(texts)]])
        model.plain.run([tokens.ids])
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)[len(times) // 2]
