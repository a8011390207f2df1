"""`guildhall serve`: one service, and what every process that answers has in common."""

import json
from typing import Annotated

import typer
from fastapi import FastAPI

import console
from kit.http.app import build_app
from kit.runtime import Runtime
from kit.service import Service
from kit.settings import Settings
from services import server
from services.commands.running import run
from services.commands.terminal import AsJson, Port, fail, settings_from
from services.compose import BY_NAME, SERVICES, compose
from services.declarations import NAMES


def serve(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Start one service on PostgreSQL and Kafka; any number of replicas. The schema must be at head (`migrate`)."""
    if service not in NAMES:
        fail(f"no service is called {service!r}; one of {', '.join(NAMES)}")
    settings = settings_from(port=port)
    if settings.embedded:
        fail("one service alone needs GUILDHALL_DATABASE_URL (PostgreSQL) and GUILDHALL_KAFKA; or use `up`")
    run(serve_one(settings, BY_NAME[service], as_json=as_json))


def web_app(runtime: Runtime) -> FastAPI:
    """The services' routes and the operators' page. The document is of the whole product, also where one service runs:
    nobody has to merge what four of them say."""
    app = build_app(runtime, SERVICES)
    app.include_router(console.router)
    return app


async def serve_one(settings: Settings, service: Service, *, as_json: bool) -> None:
    """One service; its schema must be at head."""
    listener = server.bind(settings.host, settings.port)
    runtime = compose(settings, [service])
    try:
        await runtime.start(migrating=False)
        app = web_app(runtime)

        async def ready() -> None:
            made = {"service": service.name, "url": server.url_of(listener)}
            typer.echo(json.dumps(made) if as_json else f"{service.name} answers on {made['url']}")

        await server.serve(runtime, app, listener, ready)
    finally:
        await runtime.stop()
        listener.close()
