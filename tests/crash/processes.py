"""The product as real processes that can be killed at any moment and started again on the port they had."""

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from deploy.local.split import wait_until_known
from tests.support.http import client_of

START_SECONDS = 90.0
SERVICES = ("members", "events", "rewards", "notify")


class DidNotStart(Exception):
    """A process ended or stayed silent; the message ends with what it wrote last."""


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment with no `GUILDHALL_*` but the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GUILDHALL_")}
    return {**kept, **{f"GUILDHALL_{name.upper()}": value for name, value in settings.items()}}


SPOOLED = re.compile(r"^guildhall_spool_records (\S+)", re.MULTILINE)


@dataclass(slots=True)
class Process:
    """One process of the product. `made` is the line it printed when it first answered, its address kept ever since.
    `within` is a command that runs another one, on a host of its own for example."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    made: dict[str, Any] = field(default_factory=dict)
    within: Sequence[str] = ()
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return str(self.made["url"])

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start it, on a free port the first time and on the same one afterwards; does not wait."""
        port = self.url.rpartition(":")[2] if self.made else "0"
        command = [*self.within, sys.executable, "-m", "services", *self.arguments, "--port", port, "--json"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=dict(self.environment), stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )

    def wait_ready(self) -> None:
        """Until it has printed its line, which it does once it answers requests."""
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise DidNotStart(f"{self.name} did not start: {self.log.read_text(errors='replace')[-3000:]}")
        made = json.loads(line)
        self.made = self.made or made

    def start(self) -> None:
        self.spawn()
        self.wait_ready()

    def kill(self) -> None:
        """SIGKILL, as a power cut would; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM, and SIGKILL after half a minute; the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._close()
        return code

    def _close(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


class Server(Protocol):
    """A broker or a database server."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(slots=True)
class Engine:
    """What the product stands on, as a victim like its processes; killed, it is gone for `away` seconds."""

    server: Server
    away: float = 0.0

    def kill(self) -> None:
        self.server.kill()

    def spawn(self) -> None:
        time.sleep(self.away)
        self.server.start()

    def wait_ready(self) -> None:
        """It takes connections when `spawn` returns."""


@dataclass(slots=True)
class Installation:
    """All processes of one installation, with a key for its first community; `engines` may be killed as well."""

    processes: dict[str, Process]
    settings: dict[str, str]
    community: str = ""
    key: str = ""
    engines: dict[str, Engine] = field(default_factory=dict)

    def another(self, service: str, directory: Path, number: int, **more: str) -> Process:
        """One more process of a service, not started."""
        name = f"{service}-{number}"
        environment = clean_environment(**{**self.settings, "data_dir": str(directory / name), **more})
        return Process(name, ("serve", service), environment, directory / f"{name}.log")

    @property
    def victims(self) -> dict[str, Process | Engine]:
        return {**self.processes, **self.engines}

    def url(self, service: str) -> str:
        """Where that service answers."""
        return (self.processes.get(service) or self.processes["up"]).url

    def stop(self) -> dict[str, int]:
        """Stop all in order; exit codes by name."""
        return {name: process.stop() for name, process in self.processes.items() if process.alive}


def embedded(directory: Path, **more: str) -> Installation:
    """Everything in one process on files under `directory`, started."""
    settings = {"data_dir": str(directory / "data"), "log_level": "warning", **more}
    up = Process("up", ("up",), clean_environment(**settings), directory / "up.log")
    up.start()
    return Installation({"up": up}, settings, up.made["community"], up.made["api_key"])


def split(directory: Path, database_url: str, kafka: str, *, prefix: str, **more: str) -> Installation:
    """Four processes on an empty database and a broker, started."""
    settings = {
        "data_dir": str(directory),
        "database_url": database_url,
        "kafka": kafka,
        "kafka_partitions": "4",
        "kafka_prefix": prefix,
        "secret_key": "crash-" * 8,
        "log_level": "warning",
        **more,
    }
    environment = clean_environment(**settings)
    command(environment, "migrate")
    processes = {name: Process(name, ("serve", name), environment, directory / f"{name}.log") for name in SERVICES}
    installation = Installation(processes, settings)
    try:
        for process in processes.values():
            process.spawn()
        for process in processes.values():
            process.wait_ready()
        made = json.loads(command(environment, "bootstrap"))
        installation.community, installation.key = made["community"], made["api_key"]
        wait_until_known({name: process.url for name, process in processes.items()}, installation.key)
    except BaseException:
        installation.stop()
        raise
    return installation


def command(environment: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "services", *arguments]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise DidNotStart(f"guildhall {' '.join(arguments)}: {done.stderr[-3000:]}")
    return done.stdout


async def lags(installation: Installation) -> dict[str, int]:
    """Records each consumer has yet to read, of every process, and those that were taken while the log was away and are
    not in it yet; 1 for whatever a process waits for before it can say. AssertionError when a consumer has given up."""
    out: dict[str, int] = {}
    for process in installation.processes.values():
        async with client_of(process.url, timeout=30) as http:
            for check in (await http.get("/readyz")).json()["checks"]:
                if check["name"].startswith("lag:"):
                    out[check["name"]] = int(check["detail"])
                elif check["name"] == "log" and not check["ok"]:
                    # It was away until a moment ago: what is read from it cannot be said yet.
                    out[f"log:{process.name}"] = 1
                elif not check["ok"]:
                    raise AssertionError(f"{process.name} is not ready: {check}")
            # Asked for last: what leaves the spool after it was seen empty was in the log when the next look began.
            spooled = SPOOLED.search((await http.get("/metrics")).text)
            out[f"spool:{process.name}"] = int(float(spooled[1])) if spooled is not None else 0
    return out
