"""Faults of a network: hosts on one machine that can be cut off, and a way to a server that is slow."""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

from tests.support.require import missing

_numbers = count(os.getpid() % 200)
CHUNK = 64 * 1024


class NoNamespaces(Exception):
    """This machine cannot have hosts of its own; the message says why."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"{' '.join(command)}: {done.stderr.strip()}")


class Host:
    """A network namespace with one address on the bridge. Who runs `within` it is on another machine, as far as the
    network is concerned; files, and sockets that are files, are everybody's."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.within = ("ip", "netns", "exec", name)

    def cut(self, *, answers_only: bool = False) -> None:
        """Drop silently what comes and goes; with `answers_only` what comes is let in and no answer gets out."""
        for chain, link in (("INPUT", "-i"), ("OUTPUT", "-o")):
            if chain == "OUTPUT" or not answers_only:
                _run(*self.within, "iptables", "-A", chain, "!", link, "lo", "-j", "DROP")

    def heal(self) -> None:
        _run(*self.within, "iptables", "-F")


class Network:
    """A bridge that this machine is on, and hosts beside it."""

    def __init__(self) -> None:
        self._number = next(_numbers) % 250
        self._bridge = f"ghbr{self._number}"
        self._hosts: list[Host] = []

    @property
    def address(self) -> str:
        """Where hosts find this machine."""
        return f"10.77.{self._number}.1"

    def start(self) -> None:
        for program in ("ip", "iptables"):
            if shutil.which(program) is None:
                raise NoNamespaces(f"{program} is not installed")
        if os.geteuid() != 0:
            raise NoNamespaces("network namespaces need root")
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{self.address}/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")

    def host(self) -> Host:
        number = len(self._hosts) + 2
        host = Host(f"gh-{self._number}-{number}", f"10.77.{self._number}.{number}")
        here, there = f"gv{self._number}-{number}", f"gp{self._number}-{number}"
        _run("ip", "netns", "add", host.name)
        self._hosts.append(host)
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", host.name)
        _run("ip", "link", "set", here, "master", self._bridge, "up")
        for arguments in (f"addr add {host.address}/24 dev {there}", f"link set {there} up", "link set lo up"):
            _run(*host.within, "ip", *arguments.split())
        return host

    def remove(self) -> None:
        """Only what was made here; what runs on a host has ended before."""
        for host in self._hosts:
            with suppress(NoNamespaces):
                _run("ip", "netns", "del", host.name)
        with suppress(NoNamespaces):
            _run("ip", "link", "del", self._bridge)


@pytest.fixture
def network() -> Iterator[Network]:
    """Hosts for one test; it is skipped, or fails where they are required, when there can be none."""
    made = Network()
    try:
        made.start()
    except NoNamespaces as error:
        made.remove()
        missing("namespaces", str(error))
    try:
        yield made
    finally:
        made.remove()


class SlowLine:
    """A way to a server on 127.0.0.1: what passes through, in either direction, waits `delay` seconds (0 at first)."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.port = 0
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._open = threading.Event()
        # A thread, so that it passes things on while whoever made it waits for something else.
        self._thread = threading.Thread(target=self._run, name="slow-line", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._open.wait(10)

    def stop(self) -> None:
        """Connections that go through it break."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._open.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._break())
        self._loop.close()

    async def _break(self) -> None:
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back))
                group.create_task(self._pass(onward, writer))
        finally:
            writer.transport.abort()
            back.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while some := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(some)
                await writer.drain()
        writer.close()
