"""Redis beside us for comparison: a throw-away server on a free port, and as much of a client as sorted sets need.

The client speaks RESP 2 over one blocking socket and builds nothing but lists and bytes: it costs less than any
Python client, so that what is compared with it is compared with Redis and not with a library.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.report import Skipped
from deploy.local.postgres import free_port

START_SECONDS = 15.0
Word = str | bytes | int


class Client:
    """One connection. `call` waits for its answer; `pipeline` sends many commands and takes all their answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def call(self, *words: Word) -> Any:
        self._socket.sendall(_packed(words))
        return self._answer()

    def pipeline(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        self._socket.sendall(b"".join(map(_packed, commands)))
        return [self._answer() for _ in commands]

    def _answer(self) -> Any:
        line = self._file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        raise RuntimeError(f"Redis: {line!r}")

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def _packed(words: Sequence[Word]) -> bytes:
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


@contextmanager
def redis(directory: Path) -> Iterator[Client]:
    """A server that keeps nothing on disk, with a client. Skipped when `redis-server` is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        raise Skipped("redis-server is not installed")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with (directory / "redis.log").open("w") as out:
        process = subprocess.Popen(command, cwd=directory, stdout=out, stderr=out, start_new_session=True)
    try:
        client = _connected(port)
        try:
            yield client
        finally:
            client.close()
    finally:
        process.terminate()
        process.wait(20)


def _connected(port: int) -> Client:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return Client(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
