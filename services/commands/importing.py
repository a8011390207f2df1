"""`guildhall import FILE`: history from a file, through HTTP, with progress and resume (E18)."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from services.events.importers import FORMATS, Choices, ImportStopped, ResumeMismatch, run_import


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, help="The file, or the folder; .gz is read as it is.")],
    name: Annotated[str, typer.Option(help="Name of the import; the same name and file resume it.")],
    key: Annotated[str, typer.Option(envvar="GUILDHALL_API_KEY", help="API key with the scope events:import.")],
    url: Annotated[str, typer.Option(help="Address of the running installation.")] = "http://127.0.0.1:8000",
    format: Annotated[str, typer.Option(help=f"auto, {', '.join(FORMATS)}.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, max=500, help="Events in one request.")] = 100,
    mapping: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="TOML file: what the columns of a CSV file are.")
    ] = None,
    connection: Annotated[
        UUID | None, typer.Option(help="The live connection whose names these are, where they count only within it.")
    ] = None,
    site: Annotated[str, typer.Option(help="The connection's setting `site`, where it has one.")] = "",
) -> None:
    """Post a file as history: taken at its own times, lateness does not apply, nobody is notified."""
    choices = Choices(mapping=mapping, connection=connection, site=site)
    try:
        report = asyncio.run(
            run_import(
                file, url=url, key=key, name=name, format=format, batch=batch, choices=choices, console=Console()
            )
        )
    except (ImportStopped, ResumeMismatch, ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if report.rejected or report.wrong_lines:
        raise typer.Exit(2)
