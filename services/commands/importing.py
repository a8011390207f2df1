"""`guildhall import FILE`: history from a file, through HTTP, with progress and resume (E18)."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.events.importers import run_import


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file; .gz is read as it is.")],
    name: Annotated[str, typer.Option(help="Name of the import; the same name and file resume it.")],
    key: Annotated[str, typer.Option(envvar="GUILDHALL_API_KEY", help="API key with the scope events:import.")],
    url: Annotated[str, typer.Option(help="Address of the running installation.")] = "http://127.0.0.1:8000",
    format: Annotated[str, typer.Option(help="auto, cloudevents or trace.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, max=500, help="Events in one request.")] = 100,
) -> None:
    """Post a file as history: taken at its own times, lateness does not apply, nobody is notified."""
    report = asyncio.run(run_import(file, url=url, key=key, name=name, format=format, batch=batch, console=Console()))
    if report.rejected or report.wrong_lines:
        raise typer.Exit(2)
