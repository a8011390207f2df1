"""Where to in these tests, the command as a process that can be killed, and the services that start over there."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.processes import SERVICES, Installation, Process, clean_environment

ROOT = Path(__file__).parents[3]


def contents(directory: Path) -> dict[str, bytes]:
    """Every file but the index that SQLite keeps of a write-ahead log."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.endswith("-shm")}


@dataclass(frozen=True, slots=True)
class Target:
    """An empty database and a prefix nobody has used yet."""

    url: str
    kafka: str
    prefix: str
    partitions: int = 3

    @property
    def libpq(self) -> str:
        """As people write it."""
        return self.url.replace("postgresql+asyncpg://", "postgresql://")

    def environment(self) -> dict[str, str]:
        return clean_environment(kafka_prefix=self.prefix, kafka_partitions=str(self.partitions))

    def command(self, data_dir: Path, *more: str) -> list[str]:
        arguments = ["migrate-db", "--to", self.libpq, "--kafka", self.kafka, "--data-dir", str(data_dir), *more]
        return [sys.executable, "-m", "services", *arguments]

    def move(self, data_dir: Path, *more: str) -> tuple[int, dict[str, Any], str]:
        """Run it to its end: exit code, what it compared, what it complained of."""
        done = subprocess.run(
            self.command(data_dir, "--json", *more),
            env=self.environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=7200,
            check=False,
        )
        said = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        return done.returncode, said, done.stderr

    def move_until(self, data_dir: Path, lines: int, *more: str) -> list[str]:
        """Run it, and SIGKILL it once it has said so many lines; what it said."""
        process = subprocess.Popen(
            self.command(data_dir, *more),
            env=self.environment(),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line.rstrip())
            if len(said) == lines:
                process.kill()
                break
        process.stderr.read()
        process.wait()
        process.stderr.close()
        return said

    def settings(self, secret: str, directory: Path) -> dict[str, str]:
        return {
            "data_dir": str(directory),
            "database_url": self.url,
            "kafka": self.kafka,
            "kafka_partitions": str(self.partitions),
            "kafka_prefix": self.prefix,
            "secret_key": secret,
            "log_level": "warning",
        }

    def start(self, moved: Installation, directory: Path) -> Installation:
        """The four services on what was moved, with the secret and the key of the installation that was."""
        secret = (Path(moved.settings["data_dir"]) / "secret").read_text().strip()
        settings = self.settings(secret, directory)
        environment = clean_environment(**settings)
        processes = {name: Process(name, ("serve", name), environment, directory / f"{name}.log") for name in SERVICES}
        installation = Installation(processes, settings, moved.community, moved.key)
        try:
            for process in processes.values():
                process.spawn()
            for process in processes.values():
                process.wait_ready()
        except BaseException:
            installation.stop()
            raise
        return installation
