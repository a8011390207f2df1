"""What a gateway costs: the same load on the same process directly and through each candidate that is installed.

Ours is the generated configuration with all it does; the others only forward and keep connections open, which is the
least a gateway can do.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx2
import uvloop

from bench import report, wrk
from bench.installation import prepare, running, settings_of
from bench.kafka import events_service
from bench.measure import cpu_seconds
from bench.sizes import Size
from deploy.gateway.config import Gateway
from deploy.local.gateway import PROGRAM, GatewayProcess
from deploy.local.split import engines
from kit.clock import system_clock
from kit.settings import Settings
from services.compose import SERVICES

ROUNDS = 3
START_SECONDS = 20.0

NGINX = """daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 2m;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream events {{ server {target}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://events; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Request-Id $request_id;
      proxy_request_buffering off; proxy_buffering off;
    }}
  }}
}}
"""
CADDY = """{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  reverse_proxy {target}
}}
"""
OTHERS = {
    "nginx": (NGINX, ("nginx", "-c")),
    "caddy": (CADDY, ("caddy", "run", "--adapter", "caddyfile", "--config")),
}


@dataclass(frozen=True, slots=True)
class Way:
    """An address, and the process that is on the way to the service; none is direct."""

    name: str
    url: str
    pid: int | None = None


@contextmanager
def _other(name: str, target: str, directory: Path) -> Iterator[Way]:
    text, command = OTHERS[name]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = directory / f"{name}.conf"
    config.write_text(text.format(directory=directory, target=target, port=port))
    with (directory / f"{name}.out").open("w") as out:
        process = subprocess.Popen([*command, str(config)], stdout=out, stderr=out, start_new_session=True)
    try:
        _until_answered(f"http://127.0.0.1:{port}")
        yield Way(name, f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _until_answered(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx2.get(f"{url}/healthz")
            return
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def _ours(target: str, directory: Path) -> Iterator[Way]:
    process = GatewayProcess(directory / "ours")
    prefixes = {service.name: service.prefixes for service in SERVICES}
    max_body = Settings.model_fields["max_body_bytes"].default
    process.start(prefixes, Gateway({service: [target] for service in prefixes}, max_body))
    try:
        yield Way("haproxy, ours", process.url, process.pid)
    finally:
        process.stop()


@contextmanager
def _ways(url: str, directory: Path) -> Iterator[list[Way]]:
    """Directly, and through whatever is installed."""
    target = url.rpartition("/")[2]
    with ExitStack() as stack:
        found = [Way("direct", url), stack.enter_context(_ours(target, directory))]
        found += [stack.enter_context(_other(name, target, directory)) for name in OTHERS if shutil.which(name)]
        yield found


def run(size: Size) -> None:
    if shutil.which(PROGRAM) is None:
        raise report.Skipped(f"{PROGRAM} is not installed")
    report.heading("Gateway")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        # Some programs give up root and then look at their files.
        directory.chmod(0o755)
        made = uvloop.run(prepare(settings_of(directory / "door")))
        arguments = ("--data-dir", str(made.settings.data_dir))
        with running("bench.door", *arguments, directory=directory) as child:
            _compare("the embedded door with nothing behind it", child.url, made.api_key, size, directory)
        database_url, bootstrap = stack.enter_context(engines(directory))
        installation, key = events_service(directory, database_url, bootstrap)
        stack.callback(installation.stop)
        _compare("the events service on Kafka", installation.urls["events"], key, size, directory)


def _compare(what: str, url: str, key: str, size: Size, directory: Path) -> None:
    with _ways(url, directory) as ways:
        rows = []
        for batch in (1, 100):
            for connections in size.connections:
                rows += _turns(ways, batch, connections, size.seconds, key, directory)
    report.say(f"Before {what}:\n")
    columns = ("", "connections", "requests/s", "p99 ms", "of direct", "gateway's processor, µs a request")
    report.table(columns, rows)


def _turns(
    ways: list[Way], batch: int, connections: int, seconds: int, key: str, directory: Path
) -> list[tuple[str, ...]]:
    """A row for each way, the median of some rounds in turns."""
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    last: dict[str, list[float]] = {way.name: [] for way in ways}
    costs: dict[str, list[float]] = {way.name: [] for way in ways}
    for turn in range(ROUNDS):
        for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            before = cpu_seconds(way.pid) if way.pid else 0.0
            done = wrk.run(
                way.url,
                wrk.post_script(system_clock(), batch, key),
                directory,
                connections=connections,
                seconds=seconds,
            )
            if way.pid:
                costs[way.name].append((cpu_seconds(way.pid) - before) / done.requests)
            rates[way.name].append(done.rate)
            last[way.name].append(done.p99)
    rows: list[tuple[str, ...]] = []
    for way in ways:
        ratios = [rate / direct for rate, direct in zip(rates[way.name], rates[ways[0].name], strict=True)]
        cost = report.us(median(costs[way.name])) if way.pid else ""
        ratio = report.ratio(median(ratios)) if way.pid else ""
        figures = (str(connections), report.whole(median(rates[way.name])), report.ms(median(last[way.name])))
        rows.append((f"{batch} a request: {way.name}", *figures, ratio, cost))
    return rows
