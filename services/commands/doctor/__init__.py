"""`guildhall doctor`: looks at everything, changes nothing, and says what to do (K6)."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from kit import logging as log_setup
from services.commands.doctor.examining import examine
from services.commands.doctor.findings import described, passed, show
from services.compose import BY_NAME
from services.declarations import NAMES


def doctor(
    services: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(NAMES)}; all when none is named.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the files are (GUILDHALL_DATA_DIR, ./data).")] = None,
    books: Annotated[
        bool, typer.Option("--books", help="Read every entry and board too: after a restore. Takes minutes.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for scripts.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long one check may take.")] = 15.0,
) -> None:
    """Look at settings, databases, log, topics, clocks and space; say what to do. Changes nothing; exit code 1 when
    something failed. Run it beside the installation or while it is stopped."""
    unknown = sorted(set(services or ()) - set(NAMES))
    if unknown:
        Console(stderr=True).print(
            f"guildhall: no service is called {unknown[0]!r}; of {', '.join(NAMES)}", style="red", markup=False
        )
        raise typer.Exit(2)
    chosen = [BY_NAME[name] for name in NAMES if not services or name in services]
    # What the parts log while they fail is told by the checks, in better words.
    log_setup.silence()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        findings, hanging = runner.run(examine(chosen, seconds=seconds, books=books, data_dir=data_dir))
        if as_json:
            typer.echo(json.dumps(described(findings, strict=strict)))
        else:
            show(findings)
        code = 0 if passed(findings, strict=strict) else 1
        if hanging:
            # The orderly way would wait for it.
            sys.stdout.flush()
            os._exit(code)
    raise typer.Exit(code)
