"""A sheet of paper laid out: which letters in which font, how large, where. Both formats draw what is here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import pylopdf_fonts_zh_cn
from fontTools.ttLib import TTFont

from services.rewards.domain.paper import Paper, drawable

WIDTH, HEIGHT = 842, 595
"""An A4 sheet on its side, in points."""
MARGIN = 70
FRAMES = ((24, 2.0), (32, 0.7))
"""Distance from the edge and width of each frame."""
INK, STRONG = (70, 70, 70), (24, 52, 92)


class Font:
    """A font file and how wide its letters are."""

    def __init__(self, path: str) -> None:
        self.path = path
        with TTFont(path, lazy=True, fontNumber=0) as read:
            self._names: dict[int, str] = read.getBestCmap()
            self._widths: Any = read["hmtx"].metrics
            self._units: int = read["head"].unitsPerEm

    def has(self, letter: str) -> bool:
        return ord(letter) in self._names

    def width(self, letters: str) -> float:
        """For letters of size 1."""
        return float(sum(self._widths[self._names[ord(letter)]][0] for letter in letters)) / self._units


class Run(NamedTuple):
    """Letters of one font, from `x` on; `y` is their base line, from the top."""

    font: int
    letters: str
    size: float
    x: float
    y: float
    color: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Sheet:
    paper: Paper
    fonts: tuple[str, ...]
    """Paths of the fonts that runs number."""
    runs: tuple[Run, ...]


@lru_cache(maxsize=8)
def _font(path: str) -> Font:
    return Font(path)


def font_paths(more: str) -> list[str]:
    """Latin, Greek and Cyrillic; Chinese; what the installation adds."""
    latin = str(files("fontpkg_noto_sans").joinpath("files/NotoSans[wdth,wght].ttf"))
    return [latin, str(pylopdf_fonts_zh_cn.sans_path()), *([more] if more else [])]


def lay_out(paper: Paper, more: str) -> Sheet:
    paths = font_paths(more)
    fonts = [_font(path) for path in paths]
    runs: list[Run] = []
    for line in paper.lines:
        parts = drawable(line.text, [font.has for font in fonts])
        width = _width(parts, fonts)
        size = min(line.size, (WIDTH - 2 * MARGIN) / width) if width else line.size
        x = (WIDTH - width * size) / 2
        for number, letters in parts:
            runs.append(Run(number, letters, size, x, line.at, STRONG if line.strong else INK))
            x += fonts[number].width(letters) * size
    used = sorted({run.font for run in runs})
    renumbered = tuple([run._replace(font=used.index(run.font)) for run in runs])
    return Sheet(paper, tuple([paths[number] for number in used]), renumbered)


def _width(parts: Sequence[tuple[int, str]], fonts: Sequence[Font]) -> float:
    return sum(fonts[number].width(letters) for number, letters in parts)
