"""Packages that somebody broke: one change of one file, told by a number, so that a case can be made again."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Mutation = Callable[[bytes, random.Random], bytes]

_FLIPS = 8
_RUN_BYTES = 64


def flip(raw: bytes, rng: random.Random) -> bytes:
    """Turn over one to eight bits."""
    changed = bytearray(raw)
    for _ in range(rng.randint(1, _FLIPS)):
        changed[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(raw: bytes, rng: random.Random) -> bytes:
    """Keep the beginning, down to nothing."""
    return raw[: rng.randrange(len(raw))]


def delete(raw: bytes, rng: random.Random) -> bytes:
    """Take a run of bytes out."""
    at = rng.randrange(len(raw))
    return raw[:at] + raw[at + rng.randint(1, _RUN_BYTES) :]


def insert(raw: bytes, rng: random.Random) -> bytes:
    """Put random bytes in."""
    at = rng.randrange(len(raw))
    return raw[:at] + rng.randbytes(rng.randint(1, _RUN_BYTES)) + raw[at:]


def swap(raw: bytes, rng: random.Random) -> bytes:
    """Exchange two runs of bytes."""
    length = rng.randint(1, min(_RUN_BYTES, len(raw) // 2))
    first = rng.randrange(len(raw) - 2 * length + 1)
    second = rng.randrange(first + length, len(raw) - length + 1)
    return (
        raw[:first]
        + raw[second : second + length]
        + raw[first + length : second]
        + raw[first : first + length]
        + raw[second + length :]
    )


def overwrite(raw: bytes, rng: random.Random) -> bytes:
    """Write over a run of bytes, with what numbers and lengths are likeliest to stumble over."""
    at = rng.randrange(len(raw))
    filler = rng.choice([b"\x00", b"\xff", b"\x80", b"\x7f", b'"', b"{", b"9"]) * rng.randint(1, _RUN_BYTES)
    return raw[:at] + filler + raw[at + len(filler) :]


MUTATIONS: tuple[Mutation, ...] = (flip, truncate, delete, insert, swap, overwrite)


def break_package(source: Path, folder: Path, case: int, seed: int) -> str:
    """Make ``folder`` a copy of the package ``source`` with the change of this case; return what it is.

    In most cases the manifest gets the changed file's new size and hash, so that not the hash but the reader is tried.
    """
    rng = random.Random(f"{seed} {case}")  # noqa: S311 - cases that can be made again, no secret
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("report"))
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    listed = sorted(file for file in manifest["files"] if (folder / file).exists())
    manifest["files"] = {file: manifest["files"][file] for file in listed}
    cut = [name for name in listed if name == "tokenizer.json"]
    file = rng.choice(["manifest.json", *cut, *(name for name in listed if name.endswith(".onnx"))])
    kind = rng.randrange(len(MUTATIONS) + 1)
    if kind == len(MUTATIONS):
        return _take_away(folder, manifest, file, listed, rng)
    mutation = MUTATIONS[kind]
    if file == "manifest.json":
        (folder / file).write_bytes(mutation(json.dumps(manifest).encode(), rng))
        return f"{mutation.__name__} {file}"
    raw = mutation((folder / file).read_bytes(), rng)
    (folder / file).write_bytes(raw)
    honest = rng.random() < 0.9
    if honest:
        manifest["files"][file] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return f"{mutation.__name__} {file}{'' if honest else ', its hash left as it was'}"


def _take_away(
    folder: Path, manifest: dict[str, dict[str, object]], file: str, listed: list[str], rng: random.Random
) -> str:
    """Delete a file, or put another's content in its place."""
    others = [name for name in listed if name != file]
    other = rng.choice(others) if others else file
    if rng.random() < 0.5 or file in {"manifest.json", other}:
        (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        (folder / file).unlink()
        return f"delete {file} whole"
    shutil.copy(folder / other, folder / file)
    manifest["files"][file] = manifest["files"][other]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return f"{other} in the place of {file}"
