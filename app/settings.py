"""Every setting, read once from the environment into a frozen object.

A setting ``x`` is the variable ``SLUICE_X``; docs/settings.md lists them. Nothing else here reads the environment.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "SLUICE_"
_FOREIGN = {"SLUICE_DATA", "SLUICE_RUNS"}
"""Variables of the training side, which may stand in the same environment."""


def _decoded(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as broken:
        raise PydanticCustomError("json", "expected JSON ({why})", {"why": str(broken)}) from broken


class ShadowSetting(BaseModel):
    """A version that is asked a share of its package's texts too."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: Annotated[int, Field(ge=1)]
    share: Annotated[float, Field(gt=0, le=1)]


class Settings(BaseSettings):
    """What an operator may choose; each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    grpc_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port for the Open Inference Protocol over gRPC, on the same address; 0 takes a free one. "
        "Needs `sluice[grpc]`; without it, off.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="Server processes; 0 means one a usable core and at most 4, or one where CUDA is installed.",
    )
    api_keys_file: Path | None = Field(
        None, description="File of API keys, read anew when it changes; needed where `SLUICE_HOST` is not loopback."
    )
    allow_anonymous: bool = Field(
        False,
        description="Answer predictions and metrics without a key, whatever the address and the file of keys.",
    )
    models_dir: Path = Field(Path("models"), description="Folder of the model packages, models/<name>/<version>.")
    watch_models: bool = Field(
        False, description="Open packages that come below models_dir, and close those that go, as a reload does."
    )
    shadows: Annotated[dict[str, ShadowSetting], NoDecode, BeforeValidator(_decoded)] = Field(
        {},
        description='Versions that are asked a share of the texts too, unseen: {"name": {"version": 4, "share": 0.1}}.',
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where graphs run; auto takes CUDA where it is installed, cuda insists on it."
    )
    precision: Literal["auto", "fp32", "int8"] = Field(
        "auto", description="Which graph of a package is opened; auto takes the fastest that the provider runs."
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Inference threads a process, and as many for summaries; 0 shares the usable cores out, and lets a "
        "process use one that another leaves idle.",
    )
    max_batch_cells: int = Field(
        1024, ge=1, description="Cells (rows x longest row, padding counted) that one batch may hold."
    )
    max_batch_rows: int = Field(32, ge=1, description="Rows that one batch may hold.")
    cuda_max_batch_cells: int = Field(
        65536,
        ge=1,
        description="Cells that one batch may hold on CUDA, whose steps cost little more for many rows than for one.",
    )
    cuda_max_batch_rows: int = Field(512, ge=1, description="Rows that one batch may hold on CUDA.")
    max_padding_share: float = Field(
        0.1,
        ge=0.0,
        lt=1.0,
        description="Share of a batch's cells that may be padding, where more than a few rows wait.",
    )
    max_queue_tokens: int = Field(
        131072, ge=1, description="Tokens that may wait; a request that would exceed it gets 429."
    )
    max_wait_ms: int = Field(
        2_000, ge=1, description="Forecast wait of interactive work, beyond which a request gets 429: for bursts."
    )
    overload_wait_ms: int = Field(
        45, ge=1, description="The same while more work comes than can be done; a full batch a thread may always wait."
    )
    cache_bytes: int = Field(
        0, ge=0, description="Bytes of answers that a process keeps for texts which come again; 0 keeps none."
    )
    max_slots: int = Field(64, ge=1, description="Summaries that may be written at once.")
    max_slot_cells: int = Field(
        16384, ge=1, description="Cells of source memory (summaries x longest text) that may be in use at once."
    )
    max_summary_queue_tokens: int = Field(
        65536,
        ge=1,
        description="Tokens of texts that may wait to be summarized; a request that would exceed it gets 429.",
    )
    timeout_ms: int = Field(30_000, ge=1, description="Time a request may take; then it gets 504.")
    watchdog_ms: int = Field(
        10_000,
        ge=0,
        description="Time that one run of a graph may take, or 50 times what such runs have taken if that is more; "
        "then its request gets 500 and its thread and session are replaced. 0 waits for ever.",
    )
    inline_us: int = Field(
        8_000,
        ge=0,
        le=20_000,
        description="Microseconds that a batch may be forecast to take to be run on the event loop's thread: a text "
        "that comes alone and, where a process has one thread, few; what comes meanwhile waits for it. 0 runs none "
        "there.",
    )
    drain_s: int = Field(20, ge=0, description="Seconds that requests in flight get to finish after SIGTERM.")
    max_body_bytes: int = Field(1 << 20, ge=1, description="Bytes of a request's body; more gets 413.")
    bulk_rows: int = Field(1024, ge=1, description="Lines of one bulk stream that may be under way at once.")
    bulk_idle_s: float = Field(
        60.0, gt=0, description="Seconds that a bulk stream's client may neither send nor read; then the stream ends."
    )
    max_bulk_streams: int = Field(8, ge=1, description="Bulk streams open at once; another gets 429.")
    max_bulk_line_bytes: int = Field(
        1 << 20, ge=1, description="Bytes of a line of a bulk stream; more is that line's line_too_long."
    )
    body_timeout_ms: int = Field(20_000, ge=1, description="Time a request's body may take to come; then it gets 408.")
    body_gap_ms: int = Field(5_000, ge=1, description="Time between two pieces of a body; then it gets 408.")
    max_header_bytes: int = Field(16384, ge=1024, description="Bytes of a request's line and headers; more gets 431.")
    max_headers: int = Field(100, ge=16, description="Headers of a request; more gets 431.")
    head_timeout_ms: int = Field(
        10_000, ge=1000, description="Time a request's line and headers may take to come; then it gets 408."
    )
    max_connections: int = Field(
        4096,
        ge=1,
        description="Connections of a process; beyond, idle ones are closed; a new one gets 503 where all are busy.",
    )
    max_items: int = Field(128, ge=1, description="Texts in one request; more gets 413.")
    max_tensor_numbers: int = Field(
        1 << 20, ge=1, description="Numbers in all inputs of one request to a package of numbers; more gets 413."
    )
    max_item_chars: int = Field(100_000, ge=1, description="Characters in one text; more is that item's text_too_long.")
    max_sentences: int = Field(
        256, ge=1, description="Sentences of one text that get a label of their own; the rest of the text is left out."
    )
    metrics_dir: Path | None = Field(
        None, description="Folder through which several workers share metrics; default a new temporary one."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal and json elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level logged.")


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment, with ``overrides`` (those not ``None``) on top.

    ``SettingsError`` names the variable, its value and the form expected.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        setting, *within = map(str, first["loc"])
        name = f"{PREFIX}{'.'.join([setting.upper(), *within])}"
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise SettingsError(f"{name} is {first['input']!r}; {message}") from broken


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the SLUICE_ variables that name no setting: most likely misspelt, and worth a warning."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | _FOREIGN
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
