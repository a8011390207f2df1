"""A laid out certificate as PNG."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from services.rewards.drawing.sheet import FRAMES, HEIGHT, STRONG, WIDTH, Sheet

SCALE = 2
"""Pixels a point: 1,684 × 1,190 of them."""


def to_png(sheet: Sheet) -> bytes:
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for distance, width in FRAMES:
        near, right, low = distance * SCALE, (WIDTH - distance) * SCALE, (HEIGHT - distance) * SCALE
        pen.rectangle((near, near, right, low), outline=STRONG, width=max(1, round(width * SCALE)))
    for run in sheet.runs:
        # The plain layout adds up the widths that the sheet was laid out with, on every machine alike.
        font = ImageFont.truetype(sheet.fonts[run.font], run.size * SCALE, layout_engine=ImageFont.Layout.BASIC)
        pen.text((run.x * SCALE, run.y * SCALE), run.letters, fill=run.color, font=font, anchor="ls")
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
