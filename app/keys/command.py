"""``sluice keys``: make a key, and look at a file of keys."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.errors import KeysError
from app.keys.key import line_of, mint, read

app = typer.Typer(no_args_is_help=True, help="Make API keys, and look at a file of them.")

_BAD_FILE = 2


@app.command()
def new(
    name: Annotated[str, typer.Option(help="Whose it is: stands in logs and metrics.")],
    scope: Annotated[list[str], typer.Option(help="predict, admin or metrics; may be repeated.")],
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Default: it does not expire.")] = None,
    items_per_minute: Annotated[int | None, typer.Option(min=1, help="Texts; default without a limit.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1, help="Tokens; default without a limit.")] = None,
) -> None:
    """Write a new key to standard error, this once, and its line for SLUICE_API_KEYS_FILE to standard output."""
    secret = mint()
    expires = _day_in(expires_in_days) if expires_in_days is not None else None
    limits = {"items_per_minute": items_per_minute, "tokens_per_minute": tokens_per_minute}
    try:
        line = line_of(name, secret, {"scopes": list(dict.fromkeys(scope)), "expires": expires} | limits)
    except KeysError as wrong:
        _give_up(wrong)
    typer.echo(f"the key, which nothing will show again:\n{secret}\nits line for the file of keys:", err=True)
    typer.echo(line)


@app.command("list")
def list_keys(file: Annotated[Path, typer.Argument(help="A file of keys.")]) -> None:
    """Check a file of keys as the service does, and write each key's name, scopes, limits and end."""
    try:
        keys = read(file)
    except KeysError as wrong:
        _give_up(wrong)
    for key in keys:
        limits = [
            f"{allowed} {unit}/min"
            for unit, allowed in (("items", key.items_per_minute), ("tokens", key.tokens_per_minute))
            if allowed is not None
        ]
        ends = f"until {key.expires}" if key.expires is not None else "without an end"
        typer.echo("  ".join([key.name, ",".join(sorted(key.scopes)), *limits, ends]))


def _day_in(days: int) -> date:
    return (datetime.now(UTC) + timedelta(days=days)).date()


def _give_up(error: Exception) -> NoReturn:
    typer.echo(f"sluice: {error}", err=True)
    raise typer.Exit(_BAD_FILE) from error
