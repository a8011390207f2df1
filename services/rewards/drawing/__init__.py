"""Sheets of paper as PNG and PDF: the only code that knows fonts and the libraries that draw (docs/decisions/0024).

Drawing takes some tenths of a second of a processor: `draw` is called in a thread, by one at a time.
"""

from services.rewards.domain.paper import Format, Paper
from services.rewards.drawing.pdf import to_pdf
from services.rewards.drawing.png import to_png
from services.rewards.drawing.sheet import lay_out


def draw(paper: Paper, format: Format, font: str = "") -> bytes:
    """The file; the same bytes for the same paper and libraries. Undrawable for a text that fonts lack letters
    of. `font` is a file that is asked where ours have nothing."""
    sheet = lay_out(paper, font)
    return to_png(sheet) if format == "png" else to_pdf(sheet)
