"""`guildhall up | up-split | bootstrap`: all services at once, their first community, and what is printed then."""

import asyncio
import json
from typing import Any

import typer
from rich.console import Console

from kit.auth import authenticator_of
from kit.errors import BadRequest, NotFound, Unauthorized
from kit.log import LogUnavailable
from kit.runtime import Runtime
from kit.settings import Settings
from services import server
from services.commands.running import run
from services.commands.starting import web_app
from services.commands.terminal import AsJson, DataDir, Port, settings_from
from services.compose import BY_NAME, compose
from services.members import bootstrap as first

KNOWN_SECONDS = 60.0


def up(data_dir: DataDir = None, port: Port = None, as_json: AsJson = False) -> None:
    """Start everything in one process and print how to use it. Ctrl-C drains and exits 0."""
    settings = settings_from(data_dir=data_dir, port=port, log_level="warning")
    run(serve_all(settings, as_json=as_json))


def up_split(as_json: AsJson = False) -> None:
    """Start a Kafka broker, PostgreSQL and the four services as processes in a throw-away directory."""
    from deploy.local import split

    split.main(as_json=as_json)


def bootstrap(as_json: AsJson = True) -> None:
    """Create the first community (or a fresh key for it) on PostgreSQL; prints what `up --json` does."""
    settings = settings_from()

    async def work() -> None:
        typer.echo(json.dumps(await bootstrap_split(settings)))

    run(work())


def page_url(settings: Settings, listened: str) -> str:
    return settings.public_url.rstrip("/") or listened


async def serve_all(settings: Settings, *, as_json: bool) -> None:
    """All services in this process on the embedded engines (or on those the settings name)."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    listener = server.bind(settings.host, settings.port)
    runtime = compose(settings)
    try:
        await runtime.start(migrating=True)
        app = web_app(runtime)

        async def ready() -> None:
            made = await bootstrapped(runtime, page_url(settings, server.url_of(listener)))
            announce(made, as_json=as_json)

        await server.serve(runtime, app, listener, ready)
    finally:
        await runtime.stop()
        listener.close()


async def bootstrapped(runtime: Runtime, url: str) -> dict[str, str]:
    """The first community and operator (on the first start), a fresh key and sign-in link (on every one)."""
    made = await _bootstrap(runtime, runtime.settings)
    await _until_known(runtime, made.api_key)
    return _printed(made, url)


async def _until_known(runtime: Runtime, key: str) -> None:
    """Until every service of this process accepts the key. What else they have to catch up with is not waited for:
    after a crash that may be a lot. LogUnavailable when a service does not hear of it."""
    deadline = asyncio.get_running_loop().time() + KNOWN_SECONDS
    for name, one in runtime.services.items():
        while True:
            try:
                await authenticator_of(one).principal(f"Bearer {key}", "", "")
                break
            except (Unauthorized, NotFound, BadRequest) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise LogUnavailable(f"{name} has not heard of the first key: {error.message}") from error
            await asyncio.sleep(0.02)


async def _bootstrap(runtime: Runtime, settings: Settings) -> first.Bootstrap:
    async with runtime.services["members"].db.begin() as tx:
        return await first.bootstrap(
            tx, community_name=settings.community_name, zone=settings.community_zone, locale=settings.community_locale
        )


def _printed(made: first.Bootstrap, url: str) -> dict[str, str]:
    return {
        "url": url,
        "sign_in_url": f"{url}/v1/sessions/sign-in?token={made.sign_in_token}",
        "community": str(made.community_id),
        "api_key": made.api_key,
    }


async def bootstrap_split(settings: Settings) -> dict[str, str]:
    """Like `bootstrapped`, on PostgreSQL beside running services: the members relay carries the news."""
    runtime = compose(settings, [BY_NAME["members"]])
    try:
        return _printed(await _bootstrap(runtime, runtime.settings), page_url(settings, ""))
    finally:
        for one in runtime.services.values():
            await one.db.close()


def announce(made: dict[str, str], *, as_json: bool) -> None:
    """What a person or a script needs next."""
    if as_json:
        typer.echo(json.dumps(made))
        return
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"\n[bold]Guildhall[/bold] runs on [bold]{made['url']}[/bold]  (Ctrl-C stops it)")
    out.print(f"  the API, readable:   {made['url']}/docs")
    out.print(f"  sign in (one time):  {made['sign_in_url']}")
    out.print("\nTry it: somebody checks in, and gets points.\n")
    out.print(curl(made), markup=False)
    out.print(f"\n  curl -s {made['url']}/v1/boards/xp -H 'Authorization: Bearer {made['api_key']}'\n", markup=False)


def curl(made: dict[str, str]) -> str:
    """A command to paste: one check-in."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "first-steps-1",
        "source": "/first-steps",
        "type": "checkin.submitted",
        "data": {"actor": "demo:alice", "group": "demo:hall"},
    }
    return (
        f"  curl -s {made['url']}/v1/events \\\n"
        f"    -H 'Authorization: Bearer {made['api_key']}' \\\n"
        "    -H 'Content-Type: application/cloudevents+json' \\\n"
        f"    -d '{json.dumps(event)}'"
    )
