"""The stable code of every error, read off the classes that carry them."""

from app.errors import ItemError, SluiceError, SummaryError


def codes(root: type[SluiceError]) -> dict[str, type[SluiceError]]:
    """Return every stable code below ``root`` with the class that carries it."""
    found: dict[str, type[SluiceError]] = {}
    for kind in root.__subclasses__():
        if "code" in vars(kind):
            found[kind.code] = kind  # type: ignore[attr-defined]
        found |= codes(kind)
    return found


def item_codes(*, of_summaries: bool) -> list[str]:
    """Return the codes that a text can get: one that is to be summarized, or one that is to be classified."""
    return [code for code, kind in codes(ItemError).items() if of_summaries or not issubclass(kind, SummaryError)]
