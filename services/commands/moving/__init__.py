"""`guildhall migrate-db`: an embedded installation, all services and the log, to PostgreSQL and Kafka (K5)."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from kit import logging as log_setup
from kit.database import DatabaseUnavailable
from kit.log import LogUnavailable, TopicMismatch
from kit.revisions import SchemaBeingFilled
from kit.settings import Settings, SettingsError
from services.commands.moving.steps import Refused, Result, both_settings, move
from services.commands.moving.tables import CannotCopy

EXPECTED = (
    Refused,
    CannotCopy,
    SettingsError,
    LogUnavailable,
    TopicMismatch,
    SchemaBeingFilled,
    DatabaseUnavailable,
    OSError,
)


def migrate_db(
    to: Annotated[str, typer.Option(envvar="GUILDHALL_DATABASE_URL", help="postgresql://… of an empty database.")],
    kafka: Annotated[str, typer.Option(envvar="GUILDHALL_KAFKA", help="Bootstrap servers host:port,… there.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The installation that moves (GUILDHALL_DATA_DIR, ./data).")
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, max=100_000, help="Rows or records at a time.")] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON at the end.")] = False,
) -> None:
    """Move an embedded installation to PostgreSQL and Kafka, and compare.

    It must be stopped, and stays as it is. Killed in the middle, the same command goes on where it was. Exit code 1
    when something differs, or when it cannot be done.
    """
    try:
        source, target = both_settings(to, kafka, data_dir=data_dir)
        log_setup.configure("error", source.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(move(source, target, chunk=chunk, say=_say))
    except (*EXPECTED, BaseExceptionGroup) as error:
        # Services are copied side by side: several may have failed, and mostly for one reason.
        first = _first(error)
        if not isinstance(first, EXPECTED):
            raise
        out = Console(stderr=True, highlight=False, soft_wrap=True)
        out.print(f"guildhall: {first}", style="red", markup=False)
        raise typer.Exit(1) from error
    _report(result, source, as_json=as_json)
    if result.different:
        raise typer.Exit(1)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _report(result: Result, source: Settings, *, as_json: bool) -> None:
    if as_json:
        compared = [
            {"what": line.what, "here": line.here, "there": line.there, "equal": line.equal} for line in result.lines
        ]
        typer.echo(
            json.dumps({"equal": not result.different, "moved_before": result.moved_before, "compared": compared})
        )
        return
    out = Console(highlight=False, soft_wrap=True)
    if result.moved_before:
        out.print(f"moved at {result.moved_before}; nothing to do", markup=False)
        return
    table = Table("", "here", "there", "")
    for line in result.lines:
        table.add_row(line.what, line.here, line.there, "equal" if line.equal else "DIFFERS")
    out.print(table)
    if result.different:
        out.print(f"{len(result.different)} differ: nothing starts over there; keep using the source", markup=False)
        return
    secret = "as it is" if source.secret_key else f"to the content of {source.data_dir / 'secret'}"
    out.print("Everything is equal; the source stays as it was. Now:", markup=False)
    out.print("  1. set GUILDHALL_DATABASE_URL and GUILDHALL_KAFKA", markup=False)
    out.print(f"  2. set GUILDHALL_SECRET_KEY {secret}: signing keys and draws hang on it", markup=False)
    out.print("  3. guildhall doctor --books; then start the services, and never the source again", markup=False)
