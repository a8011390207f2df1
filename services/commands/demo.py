"""`guildhall demo`: a whole installation for a few minutes, fed through HTTP like any other."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from demo.generator import generate
from demo.replay import replay
from kit.clock import system_clock
from kit.settings import Settings
from services import server
from services.commands import whole
from services.commands.running import run
from services.commands.starting import web_app
from services.commands.terminal import AsJson, DataDir, Port, settings_from
from services.compose import compose
from services.events.importers import read_events


def demo(
    trace: Annotated[Path | None, typer.Option(help="Replay this file instead of a simulated community.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated community.")] = 1,
    members: Annotated[int, typer.Option(help="Members of the simulated community.")] = 200,
    days: Annotated[int, typer.Option(help="Days it has been active.")] = 60,
    data_dir: DataDir = None,
    port: Port = None,
    keep: Annotated[bool, typer.Option(help="Keep serving afterwards, to look around.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replay a community into a throw-away installation and print a summary a person can check."""
    chosen = data_dir or Path(tempfile.mkdtemp(prefix="guildhall-demo-"))
    settings = settings_from(data_dir=chosen, port=port if port is not None else 0, log_level="warning")
    try:
        run(run_demo(settings, trace=trace, seed=seed, members=members, days=days, keep=keep, as_json=as_json))
    finally:
        if data_dir is None:
            shutil.rmtree(chosen, ignore_errors=True)


def source(trace: Path | None, seed: int, members: int, days: int) -> tuple[Iterable[dict[str, Any]], str]:
    """Events and the name of the import they travel under."""
    if trace is not None:
        if not trace.exists():
            raise OSError(f"no such file: {trace}")
        return read_events(trace), f"demo-{trace.parent.name}".lower()
    return generate(seed=seed, members=members, days=days, end=system_clock()), f"demo-seed-{seed}"


async def run_demo(
    settings: Settings, *, trace: Path | None, seed: int, members: int, days: int, keep: bool, as_json: bool
) -> None:
    """Start, replay with a progress bar, wait until all is counted, print the summary, stop (or keep serving)."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    events, name = source(trace, seed, members, days)
    listener = server.bind(settings.host, settings.port)
    runtime = compose(settings)
    try:
        await runtime.start(migrating=True)
        app = web_app(runtime)

        async def work() -> None:
            made = await whole.bootstrapped(runtime, server.url_of(listener))
            console = None if as_json else Console()
            summary = await replay(made["url"], made["api_key"], events, name=name, batch=100, console=console)
            if as_json:
                typer.echo(json.dumps({**summary.as_dict(), "url": made["url"]}))
            if keep:
                whole.announce(made, as_json=as_json)
            else:
                runtime.stopping.set()

        working: list[asyncio.Task[None]] = []

        async def ready() -> None:
            working.append(asyncio.create_task(work()))
            working[0].add_done_callback(lambda done: runtime.stopping.set() if done.exception() else None)

        await server.serve(runtime, app, listener, ready)
        await working[0]
    finally:
        await runtime.stop()
        listener.close()
