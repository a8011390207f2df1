"""Files of one JSON object a line, plain or gzip, read without holding more than a line.

A line that cannot be used is handed on as `Wrong` and reading goes on: history has holes, and one bad line must
not keep a million good ones out. Line numbers are 1-based positions in the decompressed file, blank lines counted.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

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
    """A line that holds an event to post."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be posted, and why."""

    number: int
    reason: str


Line = Good | Wrong


def digest_of(path: Path) -> str:
    """SHA-256 of the file as it lies on the disk (compressed, if it is), lower-case hex."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def raw_lines(path: Path) -> Iterator[tuple[int, bytes | Wrong]]:
    """(number, bytes without the line end) of every line that is not blank; `Wrong` for one over `MAX_LINE_BYTES`.

    Whether the file is gzip is told by its first bytes, not by its name. A gzip file that breaks off ends with a
    `Wrong` line: what stood before the break is good. OSError when the file cannot be opened.
    """
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield from _split(file)
            return
        number = 0
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                for number, line in _split(unpacked):
                    yield number, line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
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
