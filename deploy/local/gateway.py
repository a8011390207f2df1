"""The real gateway as a process on the loopback, for `make up-split` and the tests."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.gateway.config import Gateway, render

PROGRAM = "haproxy"
START_SECONDS = 20.0
STOP_SECONDS = 40.0


class GatewayMissing(Exception):
    """There is no gateway on this machine; the message names what to install."""


@dataclass(slots=True)
class GatewayProcess:
    """HAProxy in `directory`, in front of `targets` (see `Gateway`), on free ports of 127.0.0.1."""

    directory: Path
    url: str = ""
    metrics_url: str = ""
    _process: "subprocess.Popen[bytes] | None" = None
    _listeners: list[socket.socket] = field(default_factory=list)

    def start(self, prefixes: Mapping[str, Iterable[str]], gateway: Gateway) -> None:
        """Returns when it answers. GatewayMissing without the program; RuntimeError with its last words when it does
        not start. The addresses of `gateway` are not used: sockets are made here and handed over."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise GatewayMissing(f"{PROGRAM} is not installed")
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        numbers = [one.fileno() for one in self._listeners]
        handed = replace(gateway, bind=f"fd@{numbers[0]}", metrics_bind=f"fd@{numbers[1]}")
        scheme = "https" if gateway.certificate else "http"
        self.url, self.metrics_url = (
            f"{s}://127.0.0.1:{one.getsockname()[1]}" for s, one in zip((scheme, "http"), self._listeners, strict=True)
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "haproxy.cfg"
        config.write_text(render(prefixes, handed))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-db", "-f", str(config)], stdout=log, stderr=log, pass_fds=numbers, start_new_session=True
            )
        self._wait()

    @property
    def log(self) -> Path:
        """What it wrote: a line of JSON for each request, among what it says about itself."""
        return self.directory / "gateway.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        port = self._listeners[1].getsockname()[1]
        while True:
            with socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS) as asking:
                asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
                asking.settimeout(0.2)
                try:
                    if asking.recv(4):
                        return
                except TimeoutError:
                    pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{PROGRAM} did not start: {self.log.read_text()[-2000:]}")

    def drain(self) -> None:
        """Take no more connections, end what is in hand."""
        assert self._process is not None
        for one in self._listeners:
            one.close()
        self._process.send_signal(signal.SIGUSR1)

    def wait(self) -> int:
        """Until it has ended; its exit code."""
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """At once, whatever is in hand."""
        for one in self._listeners:
            one.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self.wait()


def targets_of(urls: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """One replica for each service, from its address."""
    return {service: [url.rpartition("/")[2]] for service, url in urls.items()}
