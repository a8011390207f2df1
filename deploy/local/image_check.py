"""`make image-check`: the Dockerfile really built, and every service's command really run from the image as its user.

No container engine is needed: buildah builds and runs in a chroot, on a base that debootstrap makes from the mirror
this machine's apt uses. Needs root, buildah and debootstrap; everything is kept in one directory and removed again.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import typer

from deploy.local.kafka import KafkaMissing, free_ports
from deploy.local.postgres import PostgresMissing
from deploy.local.split import engines, wait_until_known

ROOT = Path(__file__).parents[2]
BASE, IMAGE = "localhost/guildhall:base", "localhost/guildhall:check"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
SERVICES = ("members", "events", "rewards", "notify")
WRITABLE = ("data", "tmp", "var/tmp", "proc", "sys", "dev", "run")
PATIENCE = 90.0


class CheckFailed(Exception):
    """The image is not as it must be; the message says what."""


def run(*command: str | Path, **options: Any) -> str:
    """Standard output of a command that succeeds; CheckFailed with its last words otherwise."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise CheckFailed(f"{' '.join(map(str, command))}: {(done.stdout + done.stderr)[-3000:]}")
    return str(done.stdout)


def say(line: str) -> None:
    typer.echo(f"{time.strftime('%H:%M:%S')} {line}")


@dataclass(slots=True)
class Builder:
    """buildah with a storage of its own under `directory`."""

    directory: Path
    container: str = ""
    """One for all that runs: each copies the whole image, and nobody writes into it anyway."""
    running: list["Contained"] = field(default_factory=list)

    def command(self, *arguments: str | Path) -> list[str]:
        places = ["--root", str(self.directory / "storage"), "--runroot", str(self.directory / "run")]
        return ["buildah", *places, "--storage-driver=vfs", *map(str, arguments)]

    def buildah(self, *arguments: str | Path) -> str:
        return run(*self.command(*arguments)).strip()

    def make_base(self) -> None:
        """A minimal Debian of this machine's release with Python, as an image."""
        tree = self.directory / "base"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", *_mirror(), cwd=self.directory)
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, tree, "/")
        self.buildah("commit", "--quiet", container, BASE)
        self.buildah("rm", container)

    def build(self) -> None:
        """The Dockerfile; packages come from a folder, since the base trusts no more than Debian's own authorities."""
        wheels = self.directory / "wheels"
        requirements = ROOT / "requirements.txt"
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-r", requirements, "-d", wheels)
        arguments = {"BASE": BASE, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        options = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--volume", f"{wheels}:/wheels:ro"]
        self.buildah("bud", "--quiet", *options, *given, "-t", IMAGE, "-f", ROOT / "deploy" / "Dockerfile", ROOT)
        self.container = self.buildah("from", "--pull-never", IMAGE)

    def config(self) -> dict[str, Any]:
        """What the image says of itself, in Docker's form."""
        described = json.loads(self.buildah("inspect", "--type", "image", IMAGE))
        config: dict[str, Any] = described["Docker"]["config"]
        return config

    def written(self) -> list[str]:
        """What the image's user could write or has written, apart from where a read-only container has a volume."""
        tree = Path(self.buildah("mount", self.container))
        user = str(self.config()["User"]).partition(":")[0]
        pruned = [part for name in WRITABLE for part in ("-path", str(tree / name), "-prune", "-o")]
        theirs = ("(", "-user", user, "-o", "-perm", "-o+w", "!", "-type", "l", ")")
        return run("find", tree, *pruned, *theirs, "-print").split()


def _mirror() -> list[str]:
    """(suite, directory, mirror) for debootstrap, as apt is configured here."""
    release = dict(ln.split("=", 1) for ln in Path("/etc/os-release").read_text().splitlines() if "=" in ln)
    suite = release.get("VERSION_CODENAME", "").strip('"')
    lines = run("apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages")
    for line in lines.splitlines():
        address, name, component = line.split("|")
        if (name, component) == (suite, "main"):
            return [suite, "base", address]
    raise CheckFailed(f"apt knows no mirror of {suite or 'this system'}")


@dataclass(slots=True)
class Contained:
    """The image's own command with `arguments`, run as the image's user."""

    builder: Builder
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    _process: "subprocess.Popen[str] | None" = None

    def _command(self, *command: str) -> list[str]:
        settings = [part for name, value in self.environment.items() for part in ("--env", f"{name}={value}")]
        return self.builder.command("run", "--isolation", "chroot", *settings, self.builder.container, "--", *command)

    def entrypoint(self) -> list[str]:
        return [str(part) for part in self.builder.config()["Entrypoint"]]

    def finish(self) -> str:
        """Run it to its end; what it printed."""
        return run(*self._command(*self.entrypoint(), *self.arguments))

    def inside(self, *command: str) -> str:
        return run(*self._command(*command))

    def start(self) -> None:
        log = (self.builder.directory / f"{self.arguments[-1]}.log").open("w")
        command = self._command(*self.entrypoint(), *self.arguments)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        self.builder.running.append(self)

    def first_line(self) -> dict[str, str]:
        """What it printed when it answered."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CheckFailed(f"{self.arguments}: {(self.builder.directory / f'{self.arguments[-1]}.log').read_text()}")
        made: dict[str, str] = json.loads(line)
        return made

    def innermost(self) -> int:
        """The product's own process, under buildah's."""
        assert self._process is not None
        pid = self._process.pid
        while children := _children(pid):
            pid = children[-1]
        return pid

    def stop(self) -> None:
        """SIGTERM to the product, as an orchestrator sends it; CheckFailed unless it exits with 0."""
        assert self._process is not None
        os.kill(self.innermost(), signal.SIGTERM)
        code = self._process.wait(60)
        if code != 0:
            raise CheckFailed(f"{self.arguments} exited with {code}")

    def end(self) -> None:
        """Whatever became of it, nothing is left running."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.innermost(), signal.SIGKILL)
            self._process.wait(30)


def _children(pid: int) -> list[int]:
    """Of all its threads: buildah has several, and any of them may have started the next."""
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for text in lists for child in text.split()]


def check_configuration(config: Mapping[str, object]) -> None:
    user = str(config.get("User", ""))
    if not user.partition(":")[0].isdigit() or user.startswith("0"):
        raise CheckFailed(f"the image's user is {user!r}; it must be a number and not root's")
    if not config.get("Healthcheck"):
        raise CheckFailed("the image has no health check")


def memory_of(pid: int) -> int:
    """MiB resident."""
    line = next(ln for ln in Path(f"/proc/{pid}/status").read_text().splitlines() if ln.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def check_embedded(builder: Builder) -> None:
    """Everything in one container: it answers, is healthy by its own check, and stops in order."""
    [port] = free_ports(1)
    one = Contained(builder, ("up", "--json"), {"GUILDHALL_PORT": str(port), "GUILDHALL_HOST": "127.0.0.1"})
    one.start()
    made = one.first_line()
    healthcheck = one.builder.config()["Healthcheck"]["Test"][1:]
    one.inside(*healthcheck)
    reply = httpx2.get(made["url"] + "/v1/boards/xp", headers={"Authorization": f"Bearer {made['api_key']}"})
    reply.raise_for_status()
    say(f"embedded: answers, healthy, {memory_of(one.innermost())} MiB")
    one.stop()


def check_split(builder: Builder, database_url: str, kafka: str) -> None:
    """Migration, four services, the first community, an activity that becomes points."""
    settings = {
        "GUILDHALL_DATABASE_URL": database_url,
        "GUILDHALL_KAFKA": kafka,
        "GUILDHALL_KAFKA_PARTITIONS": "4",
        "GUILDHALL_SECRET_KEY": "image-check-" * 4,
        "GUILDHALL_HOST": "127.0.0.1",
        "GUILDHALL_LOG_LEVEL": "warning",
    }
    Contained(builder, ("migrate",), settings).finish()
    urls: dict[str, str] = {}
    processes: dict[str, Contained] = {}
    for name, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True):
        one = Contained(builder, ("serve", "--json", name), {**settings, "GUILDHALL_PORT": str(port)})
        one.start()
        processes[name] = one
    for name, one in processes.items():
        urls[name] = one.first_line()["url"]
    key = json.loads(Contained(builder, ("bootstrap",), settings).finish())["api_key"]
    wait_until_known(urls, key)
    check_in(urls, key)
    for name, one in processes.items():
        say(f"{name}: {memory_of(one.innermost())} MiB")
    for one in processes.values():
        one.stop()
    say("split: migrated, four services answered, an activity became points, all exited with 0")


def check_in(urls: Mapping[str, str], key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
    event = {"specversion": "1.0", "id": "1", "source": "/image-check", "type": "checkin.submitted"}
    data = {"actor": "test:1", "group": "test:hall"}
    httpx2.post(urls["events"] + "/v1/events", json={**event, "data": data}, headers=headers).raise_for_status()
    deadline = time.monotonic() + PATIENCE
    while not httpx2.get(urls["rewards"] + "/v1/boards/xp", headers=headers).json()["items"]:
        if time.monotonic() > deadline:
            raise CheckFailed("an activity became no points")
        time.sleep(0.2)


@contextmanager
def _builder() -> Iterator[Builder]:
    with tempfile.TemporaryDirectory(prefix="guildhall-image-") as name:
        builder = Builder(Path(name))
        try:
            yield builder
        finally:
            for one in builder.running:
                one.end()


def main() -> None:
    """Exit code 1 with a sentence when something is not as it must be."""
    required = os.environ.get("GUILDHALL_REQUIRE", "").split(",")
    try:
        with _builder() as builder:
            say("base (debootstrap)")
            builder.make_base()
            say("build (buildah)")
            builder.build()
            check_configuration(builder.config())
            check_embedded(builder)
            try:
                with engines(builder.directory / "engines") as (database_url, kafka):
                    check_split(builder, database_url, kafka)
            except (KafkaMissing, PostgresMissing) as error:
                if {"kafka", "postgres"} & set(required):
                    raise CheckFailed(str(error)) from error
                say(f"SKIPPED: the four services were not run: {error}")
            if written := builder.written():
                raise CheckFailed(f"the user can write outside of its volumes: {written[:10]}")
    except CheckFailed as error:
        typer.echo(f"image-check: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
