"""Installations to measure: settings, the first community, processes that can be stopped for a while."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any
from uuid import UUID

import httpx2

from kit.log import Record
from kit.runtime import topics
from kit.settings import Settings
from services.commands.whole import bootstrapped
from services.compose import compose
from services.engines import open_log

SECRET = "measured-in-one-run-on-one-machine"
STOP_SECONDS = 60
STILL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """A prepared installation."""

    settings: Settings
    community: UUID
    api_key: str


RATES = {"rate_per_second": 1e9, "rate_burst": 10**9}
"""A load generator is one credential that asks as often as it can: counted like any other, and never refused."""

NOT_REFUSED = {f"GUILDHALL_{name.upper()}": str(value) for name, value in RATES.items()}


def settings_of(directory: Path, database_url: str = "", kafka: str = "", kafka_prefix: str = "") -> Settings:
    """The databases on SQLite or PostgreSQL; the log is the embedded one in both, so that they differ in one thing,
    unless brokers are named."""
    engines = {"database_url": database_url, "kafka": kafka, "kafka_prefix": kafka_prefix}
    return Settings.model_validate({"data_dir": directory, "secret_key": SECRET, "port": 0, **RATES, **engines})


async def prepare(settings: Settings) -> Made:
    """Schemas at head, a community with its key, known to every service; stopped again."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    runtime = compose(settings)
    try:
        await runtime.start(migrating=True)
        made = await bootstrapped(runtime, "")
    finally:
        await runtime.stop()
    return Made(settings, UUID(made["community"]), made["api_key"])


async def fill_log(settings: Settings, topic: str, records: list[Record], step: int = 500) -> None:
    """Put records on the log of an installation that does not run."""
    log = open_log(settings)
    await log.start()
    try:
        await log.ensure(topics(settings))
        for start in range(0, len(records), step):
            await log.append(topic, records[start : start + step])
    finally:
        await log.stop()


@dataclass(slots=True)
class Child:
    """A process that printed one line of JSON when it was ready."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.said["url"])

    @property
    def pid(self) -> int:
        return self.process.pid

    def pause(self) -> None:
        """Let it not take time from what is measured meanwhile."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def running(module: str, *arguments: str, directory: Path, **more: str) -> Iterator[Child]:
    """`python -m module arguments` with `more` in its environment, stopped at the end. RuntimeError with its last
    words when it does not start."""
    errors = directory / f"{module}.err"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GUILDHALL_")}
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={
                **environment,
                "GUILDHALL_SECRET_KEY": SECRET,
                **NOT_REFUSED,
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise RuntimeError(f"{module} did not start: {errors.read_text()[-2000:]}")
    child = Child(process, json.loads(line))
    try:
        yield child
    finally:
        child.resume()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def up(directory: Path) -> Any:
    """The whole product in one process, as anybody starts it."""
    arguments = ("up", "--port", "0", "--json", "--data-dir", str(directory / "up"))
    return running("services", *arguments, directory=directory)


def counter(url: str, name: str) -> int:
    """The sum of a counter of the product over its labels, once it stands still: the requests that were under way
    when the load ended are answered to nobody, and count."""
    before, now = -1, _sum(url, name)
    while now != before:
        sleep(STILL_SECONDS)
        before, now = now, _sum(url, name)
    return now


def _sum(url: str, name: str) -> int:
    lines = httpx2.get(f"{url}/metrics", timeout=30).text.splitlines()
    return round(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)))
