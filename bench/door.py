"""The product's application with nothing behind it: requests are answered, no consumer, relay or loop runs.

For measuring what a request costs by itself. `python -m bench.door --data-dir D [--database-url URL [--kafka BROKERS
--kafka-prefix P]]` on an installation that was prepared before; prints its address as JSON.
"""

import json
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from bench.installation import settings_of
from kit import logging as log_setup
from kit.runtime import topics
from kit.settings import Settings
from services import server
from services.commands.starting import web_app
from services.compose import compose


async def serve(settings: Settings) -> None:
    listener = server.bind("127.0.0.1", 0)
    runtime = compose(settings)
    try:
        await runtime.log.start()
        await runtime.log.ensure(topics(settings))

        async def ready() -> None:
            print(json.dumps({"url": server.url_of(listener)}), flush=True)

        await server.serve(runtime, web_app(runtime), listener, ready)
    finally:
        await runtime.stop()
        listener.close()


def main(
    data_dir: Annotated[Path, typer.Option()],
    database_url: Annotated[str, typer.Option()] = "",
    kafka: Annotated[str, typer.Option()] = "",
    kafka_prefix: Annotated[str, typer.Option()] = "",
) -> None:
    log_setup.configure("warning", "json")
    uvloop.run(serve(settings_of(data_dir, database_url, kafka, kafka_prefix)))


if __name__ == "__main__":
    typer.run(main)
