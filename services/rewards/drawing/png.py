"""A sheet that is laid out as PNG."""

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from services.rewards.drawing.sheet import FRAMES, HEIGHT, STRONG, WIDTH, Sheet

SCALE = 2
"""Pixels a point: 1,684 × 1,190 of them."""


@lru_cache(maxsize=32)
def _font(path: str, size: float) -> ImageFont.FreeTypeFont:
    # The plain layout adds up the widths that the sheet was laid out with, on every machine alike.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def to_png(sheet: Sheet) -> bytes:
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for distance, width in FRAMES:
        near, right, low = distance * SCALE, (WIDTH - distance) * SCALE, (HEIGHT - distance) * SCALE
        pen.rectangle((near, near, right, low), outline=STRONG, width=max(1, round(width * SCALE)))
    for run in sheet.runs:
        font = _font(sheet.fonts[run.font], run.size * SCALE)
        pen.text((run.x * SCALE, run.y * SCALE), run.letters, fill=run.color, font=font, anchor="ls")
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
