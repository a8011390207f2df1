"""A real Prometheus with the rules that are shipped, their minutes shortened to seconds."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from deploy.local.postgres import free_port
from tests.support.http import client_of
from tests.support.require import missing

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
MINUTE = 1.0
"""How many seconds a minute of the rules takes here."""
SCRAPE = "1s"
PATIENCE = 60.0

_UNITS = {"s": MINUTE / 60, "m": MINUTE, "h": 60 * MINUTE}
_DURATION = re.compile(r"^(\s*for: )(\d+)([smh])$|(\[)(\d+)([smh])(?=\])", re.MULTILINE)


def sooner(rules: str) -> str:
    """The same rules with every `for:` and every range `[5m]` shortened; not a word besides is changed."""

    def shortened(found: re.Match[str]) -> str:
        before, amount, unit = [part for part in found.groups() if part is not None]
        return f"{before}{max(1, round(int(amount) * _UNITS[unit] * 1000))}ms"

    return _DURATION.sub(shortened, rules)


def prometheus_program() -> str:
    program = shutil.which("prometheus")
    if program is None:
        missing("prometheus", "it comes with the package prometheus")
    return program


class Prometheus:
    """Scrapes `targets` (process → URL) every second; `directory` is its own."""

    def __init__(self, directory: Path, targets: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(SHIPPED, directory)
        config = (SHIPPED / "prometheus.yml").read_text()
        (directory / "prometheus.yml").write_text(re.sub(r"(_interval|_timeout): \d+s", rf"\1: {SCRAPE}", config))
        (directory / "rules.yml").write_text(sooner((SHIPPED / "rules.yml").read_text()))
        groups = [
            f"- targets: ['{url.removeprefix('http://')}']\n  labels: {{process: {name}}}\n"
            for name, url in targets.items()
        ]
        (directory / "targets" / "guildhall.yml").write_text("".join(groups))
        (directory / "targets" / "gateway.yml").write_text("[]\n")

    def start(self) -> None:
        command = [
            prometheus_program(),
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        with (self._directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    async def get(self, path: str, **params: str) -> Any:
        async with client_of(self.url, timeout=10) as http:
            reply = await http.get(f"/api/v1/{path}", params=params)
            answer = reply.json()
            assert answer["status"] == "success", f"{params}: {answer.get('error')}"
            return answer["data"]

    async def until_scraped(self) -> None:
        """Until every target has answered once."""

        async def all_up() -> bool:
            if not await self._ready():
                return False
            targets = (await self.get("targets"))["activeTargets"]
            return bool(targets) and all(target["health"] == "up" for target in targets)

        await self._until(all_up, "not every target was scraped")

    async def _ready(self) -> bool:
        try:
            async with client_of(self.url, timeout=10) as http:
                return (await http.get("/-/ready")).status_code == 200
        except httpx2.TransportError:
            return False

    async def firing(self) -> dict[str, list[dict[str, str]]]:
        """The labels of the alerts that fire, by their names."""
        out: dict[str, list[dict[str, str]]] = {}
        for alert in (await self.get("alerts"))["alerts"]:
            if alert["state"] == "firing":
                out.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return out

    async def until_firing(self, name: str, **labels: str) -> None:
        async def fires() -> bool:
            return any(labels.items() <= found.items() for found in (await self.firing()).get(name, []))

        await self._until(fires, f"{name} does not fire")

    async def until_clear(self, *names: str) -> None:
        async def clear() -> bool:
            return not set(names) & (await self.firing()).keys()

        await self._until(clear, f"still firing, of {names}")

    async def _until(self, true: Any, otherwise: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not await true():
            if asyncio.get_running_loop().time() > deadline:
                log = (self._directory / "prometheus.log").read_text()[-1000:]
                raise AssertionError(f"{otherwise}; firing: {await self.firing()}; {log}")
            await asyncio.sleep(0.2)
