"""What an export is read as: lines with numbers. And files of one JSON object a line, held no more than a line at once.

A line that cannot be used is handed on as `Wrong` and reading goes on: history has holes, and one bad line must
not keep a million good ones out. Line numbers are 1-based positions in the decompressed file, blank lines counted.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import msgspec

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is reported and skipped; it could not be posted in any case."""

Event = dict[str, Any]
Translate = Callable[[Any], Event]
"""A decoded line to a CloudEvent; raises ValueError with a reason a person can act on."""

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Good:
    """An event to post. `number` grows from line to line; `where` says where it stands, where that is no line."""

    number: int
    event: Event
    where: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be posted, and why."""

    number: int
    reason: str
    where: str = ""


Line = Good | Wrong


DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a gzip file raises from the place on where it is damaged."""


def digest_of(path: Path, *settings: str) -> str:
    """SHA-256 of the file as it lies on the disk (compressed, if it is), lower-case hex; of a folder's names and sizes.

    `settings` are what else decides which events come of it: others make another digest.
    """
    digest = sha256()
    if path.is_dir():
        for name, size in sorted((str(one.relative_to(path)), one.stat().st_size) for one in path.rglob("*.json")):
            digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
    else:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    for setting in settings:
        digest.update(f"\0{setting}".encode())
    return digest.hexdigest()


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes; whether it is gzip is told by its first bytes, not by its name. OSError when unreadable."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=file) as inside:
                yield cast(BinaryIO, inside)
        else:
            yield file


def raw_lines(path: Path) -> Iterator[tuple[int, bytes | Wrong]]:
    """(number, bytes without the line end) of every line that is not blank; `Wrong` for one over `MAX_LINE_BYTES`.

    A gzip file that breaks off ends with a `Wrong` line: what stood before the break is good.
    """
    number = 0
    with unpacked(path) as file:
        try:
            for number, line in _split(file):
                yield number, line
        except DAMAGED as error:
            yield number + 1, Wrong(number + 1, f"the gzip file is damaged from here on: {error}")


class _Lines(Protocol):
    def readline(self, limit: int, /) -> bytes: ...


def _split(file: _Lines) -> Iterator[tuple[int, bytes | Wrong]]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, Wrong(number, f"the line is longer than {MAX_LINE_BYTES} bytes")
            continue
        line = (line.removeprefix(_UTF8_MARK) if number == 1 else line).strip()
        if line:
            yield number, line


def decode_line(line: bytes) -> Any:
    """The JSON value of a line. ValueError says what is wrong; numbers that JSON does not know are wrong."""
    try:
        return _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def translated(path: Path, translate: Translate) -> Iterator[Line]:
    """Every line of the file that is not blank, in order, as an event or as a reason."""
    for number, raw in raw_lines(path):
        if isinstance(raw, Wrong):
            yield raw
            continue
        try:
            yield Good(number, translate(decode_line(raw)))
        except ValueError as error:
            yield Wrong(number, str(error))


@dataclass(frozen=True, slots=True)
class Broken:
    """A part of an export that could not be read at all, and why."""

    reason: str


def numbered(found: Iterable[tuple[str, Any]], translate: Callable[[Any], Sequence[Event]]) -> Iterator[Line]:
    """What an export that has no lines holds, (where, value) by (where, value), numbered in this order.

    A value makes any number of events, or one reason: what `translate` says in a ValueError.
    """
    number = 0
    for where, value in found:
        try:
            if isinstance(value, Broken):
                raise ValueError(value.reason)
            events = translate(value)
        except ValueError as error:
            number += 1
            yield Wrong(number, str(error), where)
            continue
        for event in events:
            number += 1
            yield Good(number, event, where)
