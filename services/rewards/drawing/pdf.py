"""A sheet that is laid out as PDF, with its letters as text."""

from datetime import UTC, datetime, time

from fpdf import FPDF

from services.rewards.drawing.sheet import FRAMES, HEIGHT, STRONG, WIDTH, Sheet


def to_pdf(sheet: Sheet) -> bytes:
    paper = sheet.paper
    pdf = FPDF(orientation="landscape", unit="pt", format=(HEIGHT, WIDTH))
    # Of the paper and not of the moment: the same paper is the same file.
    pdf.set_creation_date(datetime.combine(paper.day, time(), UTC))
    pdf.set_title(paper.title)
    pdf.set_lang(paper.locale)
    pdf.set_auto_page_break(False)
    pdf.add_page()
    pdf.set_draw_color(*STRONG)
    for distance, width in FRAMES:
        pdf.set_line_width(width)
        pdf.rect(distance, distance, WIDTH - 2 * distance, HEIGHT - 2 * distance)
    for number, path in enumerate(sheet.fonts):
        pdf.add_font(f"f{number}", fname=path)
    for run in sheet.runs:
        pdf.set_font(f"f{run.font}", size=run.size)
        pdf.set_text_color(*run.color)
        pdf.text(run.x, run.y, run.letters)
    return bytes(pdf.output())
