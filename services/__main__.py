"""The command line: `guildhall up | serve | up-split | demo | migrate | doctor | topics | import | …`."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from deploy.gateway.config import GatewayError
from kit import logging as log_setup
from kit.log import LogUnavailable, TopicMismatch
from kit.migrations import SchemaBeingFilled
from kit.migrations import migrate as migrate_schema
from kit.runtime import WiringError
from kit.settings import Settings, SettingsError, load_settings
from services.commands import dead_letters, demo, doctor, gateway, importing, ledger, moving, starting, topics
from services.compose import BY_NAME, SERVICES, compose

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
cli.add_typer(dead_letters.cli, name="dead-letters")
cli.add_typer(topics.cli, name="topics")
cli.add_typer(ledger.cli, name="ledger")
cli.command("import")(importing.import_file)
cli.command("doctor")(doctor.doctor)
cli.command("migrate-db")(moving.migrate_db)

DataDir = Annotated[Path | None, typer.Option(help="Where to keep the files (GUILDHALL_DATA_DIR, ./data).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one (GUILDHALL_PORT, 8000).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON for scripts.")]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on uvloop; expected failures become one line and exit code 1."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(work)
        except (WiringError, SettingsError, LogUnavailable, TopicMismatch, SchemaBeingFilled, OSError) as error:
            fail(str(error))


def fail(message: str) -> None:
    Console(stderr=True).print(f"guildhall: {message}", style="red", markup=False, highlight=False)
    raise typer.Exit(1)


def settings_from(**overrides: object) -> Settings:
    try:
        settings = load_settings(None, **overrides)
    except SettingsError as error:
        fail(str(error))
        raise
    log_setup.configure(settings.log_level, settings.log_format)
    return settings


@cli.command()
def up(data_dir: DataDir = None, port: Port = None, as_json: AsJson = False) -> None:
    """Start everything in one process and print how to use it. Ctrl-C drains and exits 0."""
    settings = settings_from(data_dir=data_dir, port=port, log_level="warning")
    run(starting.up(settings, as_json=as_json))


@cli.command()
def serve(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(BY_NAME)}.")],
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Start one service on PostgreSQL and Kafka; any number of replicas. The schema must be at head (`migrate`)."""
    if service not in BY_NAME:
        fail(f"no service is called {service!r}; one of {', '.join(BY_NAME)}")
    settings = settings_from(port=port)
    if settings.embedded:
        fail("one service alone needs GUILDHALL_DATABASE_URL (PostgreSQL) and GUILDHALL_KAFKA; or use `up`")
    run(starting.serve_one(settings, BY_NAME[service], as_json=as_json))


@cli.command("up-split")
def up_split(as_json: AsJson = False) -> None:
    """Start a Kafka broker, PostgreSQL and the four services as processes in a throw-away directory."""
    from deploy.local import split

    split.main(as_json=as_json)


@cli.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring every service's schema to head; safe to run twice and beside running replicas."""
    settings = settings_from(data_dir=data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)

    async def work() -> None:
        runtime = compose(settings)
        for one in runtime.services.values():
            await migrate_schema(one.db, one.service.migrations)
            await one.db.close()

    run(work())
    Console().print(f"at head: {', '.join(s.name for s in SERVICES)}", highlight=False)


@cli.command()
def bootstrap(as_json: AsJson = True) -> None:
    """Create the first community (or a fresh key for it) on PostgreSQL; prints what `up --json` does."""
    settings = settings_from()

    async def work() -> None:
        typer.echo(json.dumps(await starting.bootstrap_split(settings)))

    run(work())


@cli.command("sign-in-link")
def sign_in_link(
    url: Annotated[str, typer.Option(help="Address of the running installation.")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option(envvar="GUILDHALL_API_KEY", help="API key with the scope keys:write.")] = "",
) -> None:
    """Print a fresh one-time sign-in link of a running installation."""
    typer.echo(asyncio.run(starting.sign_in_link(url, key)))


@cli.command("gateway-config")
def gateway_config(
    replica: Annotated[
        list[str] | None, typer.Option(help="service=host:port, once per replica; a name stands for all its addresses.")
    ] = None,
    bind: Annotated[str, typer.Option(help="host:port to listen on.")] = ":8443",
    certificate: Annotated[
        str, typer.Option(help="PEM file with certificate, chain and key; empty: no TLS, on the loopback only.")
    ] = "/etc/guildhall/tls/gateway.pem",
    metrics_bind: Annotated[str, typer.Option(help="host:port for the gateway's own metrics.")] = "127.0.0.1:8404",
    connections_per_address: Annotated[int, typer.Option(min=1, help="Most connections of one client address.")] = 500,
) -> None:
    """Print the gateway's configuration (HAProxy): every service's routes, limits as these settings have them."""
    settings = settings_from()
    try:
        text = gateway.config(
            settings,
            replicas=replica or (),
            bind=bind,
            certificate=certificate,
            metrics_bind=metrics_bind,
            connections_per_address=connections_per_address,
        )
    except GatewayError as error:
        fail(str(error))
        raise
    typer.echo(text, nl=False)


@cli.command("demo")
def demo_command(
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
        run(demo.run_demo(settings, trace=trace, seed=seed, members=members, days=days, keep=keep, as_json=as_json))
    finally:
        if data_dir is None:
            shutil.rmtree(chosen, ignore_errors=True)


def main() -> None:
    """The `guildhall` command."""
    cli()


if __name__ == "__main__":
    main()
