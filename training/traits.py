"""What summaries are like beside ROUGE: whether they repeat themselves, are new, are long, or make things up."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from training.rouge import UNSPACED

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,:/]\d+)*|[^\w\s]")
_CHARACTER = re.compile(r"[a-z]+|\d+(?:[.,:/]\d+)*|\S")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_NAME = re.compile(r"(?<![.!?:\"“(]\s)(?<!^)\b[A-Z][^\W\d_]+")
"""A capitalized word that no sentence begins with."""
_REPEAT = 3


@dataclass(frozen=True, slots=True)
class Traits:
    """Shares between 0 and 1, over all summaries of a split.

    `repeated` is of trigrams that stood in their summary before; `novel_1` to `novel_3` of n-grams that the document
    lacks; `numbers` and `names` of those of a summary that the document lacks, of which there are `all_numbers` and
    `all_names`. `length` is the mean length of a summary over that of its references.
    """

    repeated: float
    novel_1: float
    novel_2: float
    novel_3: float
    length: float
    numbers: float
    names: float
    all_numbers: int
    all_names: int

    def figures(self) -> dict[str, float]:
        """Return the traits by name."""
        return {name: round(float(value), 6) for name, value in asdict(self).items()}


def traits(
    documents: Sequence[str], summaries: Sequence[str], references: Sequence[Sequence[str]], language: str
) -> Traits:
    """Return what the summaries are like; words are compared in lower case, Chinese by character."""
    pieces = [
        (_pieces(text, language), _pieces(said, language)) for text, said in zip(documents, summaries, strict=True)
    ]
    lengths = [fmean(len(_pieces(one, language)) for one in known) for known in references]
    pairs = list(zip(documents, summaries, strict=True))
    numbers = [(one, text) for text, said in pairs for one in _NUMBER.findall(said)]
    # Chinese has no capitals, and lower-case text none to tell by.
    names = [(one.lower(), text) for text, said in pairs for one in _NAME.findall(said)]
    return Traits(
        repeated=_repeated([said for _, said in pieces]),
        novel_1=_novel(pieces, 1),
        novel_2=_novel(pieces, 2),
        novel_3=_novel(pieces, 3),
        length=sum(len(said) for _, said in pieces) / max(1.0, sum(lengths)),
        numbers=_share([one not in _NUMBER.findall(text) for one, text in numbers]),
        names=_share([one not in text.lower() for one, text in names]),
        all_numbers=len(numbers),
        all_names=len(names),
    )


def _pieces(text: str, language: str) -> list[str]:
    return (_CHARACTER if language in UNSPACED else _TOKEN).findall(text.lower())


def _grams(pieces: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(pieces[at:] for at in range(size)), strict=False))


def _repeated(summaries: Sequence[list[str]]) -> float:
    grams = [_grams(said, _REPEAT) for said in summaries]
    total = sum(map(len, grams))
    return (total - sum(len(set(one)) for one in grams)) / total if total else 0.0


def _novel(pieces: Sequence[tuple[list[str], list[str]]], size: int) -> float:
    fresh: list[bool] = []
    for text, said in pieces:
        known = set(_grams(text, size))
        fresh += [gram not in known for gram in _grams(said, size)]
    return _share(fresh)


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
