"""`make up-split`: broker, database, migration, four services and one address, as processes in one directory."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import typer
from rich.console import Console

from deploy.gateway.config import Gateway
from deploy.local.front import make_front
from deploy.local.gateway import GatewayMissing, GatewayProcess, targets_of
from deploy.local.kafka import KafkaBroker, KafkaMissing
from deploy.local.postgres import PostgresServer

START_SECONDS = 60.0


class StartFailed(Exception):
    """A process did not come up; the message ends with what it printed last."""


@dataclass(slots=True)
class Installation:
    """Four service processes on given engines. `kill` and `restart` are for tests that do not trust them."""

    directory: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    def guildhall(self, *arguments: str) -> str:
        """Run a command of the product to its end; its standard output."""
        command = [sys.executable, "-m", "services", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise StartFailed(f"guildhall {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, name: str, port: int = 0) -> None:
        """Start one service and wait until it answers."""
        errors = self.directory / f"{name}.log"
        with errors.open("a") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "services", "serve", name, "--port", str(port), "--json"],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        self.processes[name] = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise StartFailed(f"{name} did not start: {errors.read_text()[-2000:]}")
        self.urls[name] = json.loads(line)["url"]

    def restart(self, name: str) -> None:
        """Start a service again on the port it had."""
        self.start(name, int(self.urls[name].rpartition(":")[2]))

    def kill(self, name: str) -> None:
        """SIGKILL, as a power cut would."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to whoever is still there after a while."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment(database_url: str, kafka: str, directory: Path) -> dict[str, str]:
    """What the processes of one installation share."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("GUILDHALL_")}
    return {
        **keep,
        "GUILDHALL_DATABASE_URL": database_url,
        "GUILDHALL_KAFKA": kafka,
        "GUILDHALL_DATA_DIR": str(directory),
        "GUILDHALL_SECRET_KEY": secrets.token_hex(32),
        "GUILDHALL_LOG_LEVEL": "warning",
    }


def wait_until_known(urls: dict[str, str], key: str) -> None:
    """Until every service has heard of the key on the log. TimeoutError names the one that has not."""
    paths = {"members": "/v1/members", "events": "/v1/events", "rewards": "/v1/boards", "notify": "/v1/messages"}
    deadline = time.monotonic() + START_SECONDS
    for name, url in urls.items():
        while (
            httpx2.get(url + paths[name], headers={"Authorization": f"Bearer {key}"}, verify=False).status_code != 200
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} does not accept the first key")
            time.sleep(0.1)


@contextmanager
def engines(directory: Path) -> Iterator[tuple[str, str]]:
    """A PostgreSQL database and a Kafka broker in `directory`: (database URL, bootstrap servers)."""
    postgres = PostgresServer(directory / "postgres")
    broker = KafkaBroker(directory / "kafka", lasting=True)
    try:
        postgres.start()
        broker.start()
        yield postgres.create_database("guildhall"), broker.bootstrap
    finally:
        broker.stop()
        postgres.stop()


def main(*, as_json: bool) -> None:
    """Start everything, print what `guildhall up` prints, stop everything on Ctrl-C."""
    from services.commands.whole import announce
    from services.declarations import NAMES

    out = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="guildhall-split-") as name:
        directory = Path(name)
        try:
            out.print("starting PostgreSQL and Kafka …")
            with engines(directory) as (database_url, kafka):
                installation = Installation(directory, environment(database_url, kafka, directory))
                out.print("starting the services …")
                try:
                    installation.guildhall("migrate")
                    for service in NAMES:
                        installation.start(service)
                    made = json.loads(installation.guildhall("bootstrap"))
                    wait_until_known(installation.urls, made["api_key"])

                    def announced(url: str, made: dict[str, str] = made) -> None:
                        announce({**made, "url": url, "sign_in_url": url + made["sign_in_url"]}, as_json=as_json)

                    asyncio.run(_behind_one_address(installation, announced, out))
                finally:
                    installation.stop()
        except (StartFailed, KafkaMissing, TimeoutError) as error:
            out.print(f"guildhall: {error}", style="red", markup=False)
            raise typer.Exit(1) from error


async def _behind_one_address(installation: Installation, announce: Callable[[str], None], out: Console) -> None:
    """The real gateway where it is installed, else our stand-in; until SIGINT or SIGTERM."""
    from kit.settings import load_settings
    from services.declarations import DECLARATIONS

    prefixes = {service.name: service.prefixes for service in DECLARATIONS}
    max_body = load_settings(installation.environment).max_body_bytes
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    gateway = GatewayProcess(installation.directory / "gateway")
    try:
        gateway.start(prefixes, Gateway(targets_of(installation.urls), max_body))
    except GatewayMissing as missing:
        out.print(f"no gateway ({missing}): a simple stand-in answers in its place")
        await _stand_in(prefixes, installation, announce, stopped)
        return
    try:
        announce(gateway.url)
        await stopped.wait()
    finally:
        gateway.stop()


async def _stand_in(
    prefixes: Mapping[str, Iterable[str]],
    installation: Installation,
    announce: Callable[[str], None],
    stopped: asyncio.Event,
) -> None:
    from services import server

    listener = server.bind("127.0.0.1", 0)
    web = server.make_server(make_front(prefixes, installation.urls, "members"), 5)
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    while not web.started:
        await asyncio.sleep(0.01)
    announce(server.url_of(listener))
    await stopped.wait()
    web.should_exit = True
    await serving
