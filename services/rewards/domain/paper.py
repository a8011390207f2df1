"""A sheet of paper with lines of text, and what of a text can be drawn."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

Locale = Literal["en", "zh-CN"]
Format = Literal["png", "pdf"]


class Line(NamedTuple):
    """A centred line: its text, the size of its letters and its base line in points from the top of an A4 sheet that
    lies on its side. What is too long for the sheet gets smaller letters."""

    text: str
    size: float
    at: float
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """Everything a file is made from. `title` and `day` are what a PDF says of itself: the same paper is the same
    file."""

    title: str
    day: date
    locale: Locale
    lines: tuple[Line, ...]


class Undrawable(Exception):
    """A text with letters that no font at hand has, or with none that could be seen; `letters` are some of them."""

    def __init__(self, letters: str) -> None:
        super().__init__(letters)
        self.letters = letters


_UNSEEN = frozenset(
    chr(code)
    for codes in (
        (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x20E3, 0x2800, 0x3164, 0xFEFF, 0xFFA0),
        range(0x17B4, 0x17B6), range(0x180B, 0x1810), range(0x200B, 0x2010), range(0x202A, 0x202F),
        range(0x2060, 0x2070), range(0xFE00, 0xFE10), range(0xFFF0, 0xFFF9), range(0x1BCA0, 0x1BCA4),
        range(0x1D173, 0x1D17B), range(0xE0000, 0xE1000),
    )
    for code in codes
)  # fmt: skip
"""What Unicode calls ignorable by default (joiners, directions, variants, fillers), the frame of a keycap and the
braille letter without dots: fonts that have them draw nothing."""
_NO_LETTERS = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Not text, or none that everybody reads alike, whatever a font has there."""


def clusters(text: str) -> list[str]:
    """Letters with the marks that stand on them; what cannot be seen is left out, white space is one space."""
    out: list[str] = []
    for letter in unicodedata.normalize("NFC", " ".join(text.split())):
        if letter in _UNSEEN:
            continue
        if out and unicodedata.category(letter) in _MARKS:
            out[-1] += letter
        else:
            out.append(letter)
    return out


def drawable(text: str, has: Sequence[Callable[[str], bool]]) -> list[tuple[int, str]]:
    """The text as runs of (number of the font, letters), each letter in the first font that has it with its marks.

    Symbols that no font has (an emoji beside a name) are left out as long as something else is left. Undrawable for
    letters, and for what is none: a name that is not all there is none.
    """
    runs: list[tuple[int, str]] = []
    missing: list[str] = []
    for cluster in clusters(text):
        kind = unicodedata.category(cluster[0])
        font = next((n for n, covers in enumerate(has) if all(map(covers, cluster))), None)
        if font is None and kind[0] == "S":
            continue
        if font is None or kind in _NO_LETTERS or _is_shaped(cluster):
            missing.append(cluster)
        elif cluster == " " and (not runs or runs[-1][1].endswith(" ")):
            # What stood between two spaces was left out.
            continue
        elif runs and (runs[-1][0] == font or cluster == " "):
            runs[-1] = runs[-1][0], runs[-1][1] + cluster
        else:
            runs.append((font, cluster))
    if missing or not runs:
        raise Undrawable("".join(dict.fromkeys(missing))[:20] or text[:20])
    if runs[-1][1].endswith(" "):
        runs[-1] = runs[-1][0], runs[-1][1].rstrip(" ")
    return [run for run in runs if run[1]]


_MARKS = ("Mn", "Mc", "Me")
_SHAPED = (range(0x0900, 0x10A0), range(0x1780, 0x1D00), range(0xA800, 0xAC00))
"""Scripts of South and South-East Asia, whose letters change with their neighbours."""


def _is_shaped(cluster: str) -> bool:
    """Whether drawing letter by letter would be wrong, whatever the font: from right to left, with marks that are not
    part of the letter, or of a script whose letters join."""
    first = ord(cluster[0])
    if len(cluster) > 1 or unicodedata.category(cluster) in _MARKS:
        return True
    return unicodedata.bidirectional(cluster) in ("R", "AL") or any(first in some for some in _SHAPED)
