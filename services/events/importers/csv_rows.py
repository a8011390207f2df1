"""Rows of a CSV file, whatever stands in it: a row that is none does not keep the others out."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from services.events.importers.lines import DAMAGED, Wrong

MAX_LINE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """`number` is that of the line it begins in."""

    number: int
    cells: list[str]


def rows(file: BinaryIO, delimiter: str = ",", encoding: str = "utf-8") -> Iterator[Row | Wrong]:
    """Rows that are not blank, with the line they begin in; a cell may hold line ends."""
    reader = csv.reader(_text(file, encoding), delimiter=delimiter)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Wrong(number, f"not CSV: {error}")
            continue
        except DAMAGED as error:
            yield Wrong(number, f"the gzip file is damaged from here on: {error}")
            return
        if any("\ud800" <= one <= "\udfff" for cell in cells for one in cell):
            yield Wrong(number, f"not {encoding}")
        elif cells:
            yield Row(number, cells)


def _text(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Lines as text. Bytes that are none are kept as lone surrogates, so that only their own row is lost."""
    first = True
    while line := file.readline(MAX_LINE_BYTES):
        try:
            text = line.decode(encoding, "surrogateescape")
        except UnicodeDecodeError:
            # Some encodings of two bytes are wrong at a byte that could be ASCII, which has no surrogate.
            text = line.decode("ascii", "surrogateescape")
        yield text.removeprefix("\ufeff") if first else text
        first = False
