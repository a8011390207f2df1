"""`guildhall topics`: compare the topics on Kafka with what they must be, and mend what differs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from kit.log import LogUnavailable
from kit.log.kafka import KafkaLog
from kit.log.kafka.topics import Difference
from kit.runtime import topics
from kit.settings import Settings, SettingsError, load_settings
from services.engines import open_log

cli = typer.Typer(no_args_is_help=True, help="Compare the topics on Kafka with the settings, and mend what differs.")
T = TypeVar("T")

Grow = Annotated[
    bool, typer.Option("--grow-partitions", help="Add partitions too. Keys move: stop every service and drain first.")
]


@cli.command()
def check() -> None:
    """Print every difference; exit code 1 when there is one."""

    async def look(log: KafkaLog, settings: Settings) -> list[Difference]:
        wanted = topics(settings)
        return log.topics.differences(wanted, await log.topics.find(wanted))

    _end(_with_log(look))


@cli.command()
def repair(grow_partitions: Grow = False) -> None:
    """Mend what can be mended and print it; exit code 1 when something is left."""

    async def mend(log: KafkaLog, settings: Settings) -> list[Difference]:
        wanted = topics(settings)
        for difference in await log.topics.repair(wanted, grow=grow_partitions):
            _say(f"mended: {difference.topic}: {difference.what} {difference.present} -> {difference.wanted}")
        return log.topics.differences(wanted, await log.topics.find(wanted))

    _end(_with_log(mend))


def _end(left: list[Difference]) -> None:
    for difference in left:
        _say(str(difference))
    if left:
        raise typer.Exit(1)
    _say("every topic is as it must be")


def _say(line: str) -> None:
    Console(highlight=False, soft_wrap=True).print(line, markup=False)


def _with_log(work: Callable[[KafkaLog, Settings], Awaitable[T]]) -> T:
    """What the work returns on the opened log; expected trouble is one line and exit code 1."""

    async def run() -> T:
        settings = load_settings()
        log = open_log(settings)
        if not isinstance(log, KafkaLog):
            raise SettingsError("GUILDHALL_KAFKA is not set: the embedded log takes its settings at every start")
        try:
            await log.start()
            return await work(log, settings)
        finally:
            await log.stop()

    try:
        return asyncio.run(run())
    except (SettingsError, LogUnavailable) as error:
        Console(stderr=True).print(f"guildhall: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
