"""A user's file as text: taken out of .gz or .xz, decoded, and the lines named that do not decode."""

import gzip
import lzma
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from training.errors import DataError

PACKED = {".gz": gzip.decompress, ".xz": lzma.decompress}
UTF_8 = {"utf-8", "utf8", "utf-8-sig"}
ASCII_END = 0x7F
# What bytes that are not UTF-8 are in practice, East and West.
GUESSES = ("gb18030", "cp1252")
CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file; `wrong` tells of each line, from 1, that does not decode, which byte stands where."""

    text: str
    wrong: dict[int, str]
    hint: str = ""

    def wrong_between(self, first: int, last: int) -> str | None:
        """Return the first such line's reason among the lines `first` to `last`."""
        if not self.wrong:
            return None
        return next((self.wrong[line] for line in range(first, last + 1) if line in self.wrong), None)


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes, unpacked by suffix; `DataError` where it cannot be read or holds nothing."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    unpack = PACKED.get(path.suffix.lower())
    try:
        raw = unpack(raw) if unpack and raw else raw
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: not a whole {path.suffix} file: {error}") from error
    if not raw.strip():
        raise DataError(f"{path}: the file is empty")
    return raw


def decode(path: Path, raw: bytes, encoding: str) -> Source:
    """Decode; bytes that are not UTF-8 are noted by line, those of another encoding refused at once."""
    if encoding.lower() in UTF_8:
        return _utf_8(path, raw)
    try:
        return Source(_plain(raw.decode(encoding)), {})
    except LookupError as error:
        raise DataError(f"{path}: --encoding {encoding!r}: not a known encoding, such as utf-8 or gb18030") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line}: byte 0x{raw[error.start]:02x} at offset {error.start} is not {encoding}"
        ) from error


def _utf_8(path: Path, raw: bytes) -> Source:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:1000]:
        raise DataError(f"{path}: not UTF-8: it looks like UTF-16, as some spreadsheets save; give --encoding utf-16")
    try:
        return Source(_plain(raw.decode("utf-8-sig")), {})
    except UnicodeDecodeError:
        wrong, others = _wrong_lines(raw)
    # Undecodable bytes become lone surrogates, so that rows keep their numbers.
    text = _plain(raw.decode("utf-8-sig", "surrogateescape"))
    guess = _guess(next(iter(wrong.values()))[1])
    hint = (
        f"The file mixes encodings: {others} other line{'s hold' if others > 1 else ' holds'} UTF-8 beyond ASCII. "
        "Save it as one."
        if others
        else f"If the whole file is {guess}, give --encoding {guess}."
    )
    return Source(text, {line: _reason(offset, rest) for line, (offset, rest) in wrong.items()}, hint)


def _wrong_lines(raw: bytes) -> tuple[dict[int, tuple[int, bytes]], int]:
    """Return offset and bytes from the first wrong one on, by line; and how many lines hold UTF-8 beyond ASCII."""
    wrong, others, start = {}, 0, 0
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.isascii():
            try:
                line.decode("utf-8")
                others += 1
            except UnicodeDecodeError as error:
                wrong[number] = start + error.start, line[error.start :]
        start += len(line) + 1
    return wrong, others


def _reason(offset: int, rest: bytes) -> str:
    guess = _guess(rest)
    shown = rest[:24].decode(guess, "ignore").strip()
    return f"byte 0x{rest[0]:02x} at offset {offset} is not UTF-8; read as {guess} it says {shown!r}"


def _guess(rest: bytes) -> str:
    """Return gb18030 where nearly all bytes beyond ASCII are Chinese read so, else cp1252."""
    east, west = GUESSES
    chinese = len(CHINESE.findall(rest.decode(east, "replace")))
    beyond = sum(byte > ASCII_END for byte in rest)
    # An accented letter and its neighbour can make one rare character; Chinese comes in runs.
    return east if chinese > 1 and 2 * chinese >= beyond - 1 else west


def _plain(text: str) -> str:
    """Return the text without a byte order mark, its lines ended by a line feed if they were by a carriage return."""
    text = text.removeprefix("\ufeff")
    return text if "\n" in text else text.replace("\r", "\n")
