"""What a package that writes or quotes says of itself: its special tokens, and each option's bounds and default.

The sections ``generation`` and ``extraction`` of manifest.json. A request's options are checked against these, so a
package gets what it was tuned for without a line of code.
"""

from math import isfinite
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from app.modelpack.strict import Strict

KindName = Literal["headline", "dialogue", "abstract"]
KINDS: tuple[KindName, ...] = get_args(KindName)


class Option(Strict):
    """The bounds and the default of one number that a request may set."""

    min: int | float
    max: int | float
    default: int | float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name, number in (("min", self.min), ("max", self.max)):
            if not isfinite(number):
                raise ValueError(f"{name}: {number}; expected a finite number")
        if not self.min <= self.default <= self.max:
            raise ValueError(f"default: {self.default} is not within {self.min} to {self.max}; expected it to be")
        return self

    @property
    def whole(self) -> bool:
        """Whether it counts something."""
        return all(isinstance(number, int) for number in (self.min, self.max, self.default))


class Kind(Strict):
    """One kind of summary: the token that asks for it, and what a request may ask of it.

    ``length_penalty`` is the alpha of Wu et al. 2016, section 7: above 0 longer summaries are favoured.
    """

    id: int = Field(ge=0)
    beams: Option
    min_tokens: Option
    max_tokens: Option
    length_penalty: Option

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for name, least in (("beams", 1), ("min_tokens", 0), ("max_tokens", 1)):
            check_count(name, getattr(self, name), least)
        if self.min_tokens.default > self.max_tokens.default:
            raise ValueError(
                f"min_tokens: {self.min_tokens.default} by default; expected at most max_tokens, which is "
                f"{self.max_tokens.default} by default"
            )
        return self


class Generation(Strict):
    """How a package of the task ``summarize`` writes.

    ``block_ngram``: a run of so many tokens never occurs twice in a summary, 0 for no such rule. ``coverage_penalty``:
    the beta of Wu et al. 2016, 0 for none. ``digit_ids_only_copied``: numerals may be copied and never made up.
    ``recase``: the vocabulary is lower-case, and the caller's own spelling is put back.
    """

    bos_id: int = Field(ge=0)
    eos_id: int = Field(ge=0)
    kinds: dict[KindName, Kind] = Field(min_length=1)
    block_ngram: int = Field(default=3, ge=0)
    coverage_penalty: float = Field(default=0.0, ge=0.0)
    digit_ids_only_copied: bool = True
    recase: bool

    def check_ids(self, vocab_size: int, pad_id: int, unk_id: int) -> None:
        """Raise ``ValueError`` where two special ids are one, or one lies beyond the vocabulary."""
        ids = {"pad_id": pad_id, "unk_id": unk_id, "bos_id": self.bos_id, "eos_id": self.eos_id}
        ids |= {f"kinds.{name}.id": kind.id for name, kind in self.kinds.items()}
        seen: dict[int, str] = {}
        for name, value in ids.items():
            if value >= vocab_size:
                raise ValueError(f"generation: {name} is {value}; expected an id below {vocab_size}")
            if value in seen:
                raise ValueError(f"generation: {name} is {value}, as {seen[value]} is; expected distinct special ids")
            seen[value] = name


class Extraction(Strict):
    """How a package of the task ``extract`` quotes.

    The graph reads ``max_sentences`` of a text, each up to ``max_sentence_tokens``. ``redundancy`` weighs a sentence's
    likeness to those chosen already against its score.
    """

    max_sentences: int = Field(ge=1)
    max_sentence_tokens: int = Field(ge=1)
    sentences: Option
    redundancy: float = Field(ge=0.0)

    @model_validator(mode="after")
    def _counts(self) -> Self:
        check_count("sentences", self.sentences, 1)
        return self


def check_count(name: str, option: Option, least: int) -> None:
    """Raise ``ValueError`` where an option that counts something is not in whole numbers from ``least`` up."""
    if not option.whole or option.min < least:
        raise ValueError(f"{name}: {option.min} to {option.max}; expected whole numbers from {least} up")
