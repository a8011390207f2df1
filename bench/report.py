"""Tables on standard output, as Markdown, so that docs/benchmarks.md takes them as they are."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path


class Skipped(Exception):
    """A part cannot be measured here; the message says what is missing."""


def machine() -> str:
    """What it was measured on, in one line."""
    cpu = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return (
        f"{os.cpu_count()} × {cpu}, load {os.getloadavg()[0]:.2f} at the start, {platform.system()} "
        f"{platform.release()}, CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def heading(text: str) -> None:
    print(f"\n### {text}\n", flush=True)


def say(text: str) -> None:
    print(text, flush=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column is words, the others are figures."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join([cells[0].ljust(widths[0]), *aligned[1:]])} |"

    say(line(columns))
    say(f"|{'|'.join('-' * (w + 2) if not i else '-' * (w + 1) + ':' for i, w in enumerate(widths))}|")
    for row in rows:
        say(line(row))
    say("")


def whole(value: float) -> str:
    return f"{value:,.0f}"


def ms(seconds: float) -> str:
    """Milliseconds with as many digits as mean something."""
    value = seconds * 1000
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def ratio(value: float) -> str:
    return f"{value:.2f} ×"
