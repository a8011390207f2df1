"""Whether a file is a font that letters can be drawn with, without a library that reads fonts."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PLAIN = (b"\x00\x01\x00\x00", b"OTTO", b"true")
_COLLECTION = b"ttcf"
_NEEDED = {b"cmap", b"head", b"hhea", b"hmtx", b"maxp"}
_OUTLINES = {b"glyf", b"CFF "}
_UNICODE = {(3, 1), (3, 10)}
"""Platform and encoding; platform 0 is Unicode whatever the encoding."""


def is_font(path: Path) -> bool:
    """Whether it is a TrueType or OpenType font (or a collection: its first) with outlines and a table of Unicode
    letters. What the tables say is not looked at."""
    try:
        with path.open("rb") as file:
            return _is_font(file, path.stat().st_size)
    except (OSError, struct.error):
        return False


def _is_font(file: BinaryIO, size: int) -> bool:
    kind = file.read(4)
    if kind == _COLLECTION:
        file.seek(12)
        file.seek(_numbers(file, ">L")[0])
        kind = file.read(4)
    if kind not in _PLAIN:
        return False
    tables = dict(_tables(file))
    if not tables.keys() >= _NEEDED or not tables.keys() & _OUTLINES:
        return False
    if any(at + length > size for at, length in tables.values()):
        return False
    file.seek(tables[b"cmap"][0])
    _, count = _numbers(file, ">HH")
    found = [_numbers(file, ">HHL")[:2] for _ in range(count)]
    return any(platform == 0 or (platform, encoding) in _UNICODE for platform, encoding in found)


def _tables(file: BinaryIO) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name → where it begins and how long it is."""
    count, *_ = _numbers(file, ">HHHH")
    for _ in range(count):
        name = file.read(4)
        _, at, length = _numbers(file, ">LLL")
        yield name, (at, length)


def _numbers(file: BinaryIO, form: str) -> tuple[int, ...]:
    """struct.error where the file is over."""
    return struct.unpack(form, file.read(struct.calcsize(form)))
