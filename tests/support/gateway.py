"""The real gateway before four real processes on PostgreSQL and Kafka, and a community of its own for each test."""

import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from deploy.gateway.config import Gateway
from deploy.local.gateway import GatewayMissing, GatewayProcess, targets_of
from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from deploy.local.split import wait_until_known
from kit.auth import ROLES
from kit.settings import Settings
from services.compose import SERVICES
from tests.crash.harness import drained
from tests.crash.processes import Installation, command, split
from tests.support.http import client_of
from tests.support.require import missing

PREFIXES = {service.name: service.prefixes for service in SERVICES}
MAX_BODY = Settings.model_fields["max_body_bytes"].default


@contextmanager
def gateway_before(directory: Path, targets: dict[str, Any], **options: Any) -> Iterator[GatewayProcess]:
    """A gateway before those replicas; the test is skipped, or fails where it is required, when there is none."""
    process = GatewayProcess(directory)
    try:
        process.start(PREFIXES, Gateway(targets, MAX_BODY, **options))
    except GatewayMissing as error:
        missing("gateway", str(error))
    try:
        yield process
    finally:
        process.stop()


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1: (itself, to be trusted; with its key in one file, as the gateway wants it)."""
    key, made, both = directory / "key.pem", directory / "made.pem", directory / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    both.write_bytes(made.read_bytes() + key.read_bytes())
    return made, both


@dataclass(frozen=True, slots=True)
class Grown:
    """Four processes and the gateway before them. `owner` is the cookie of somebody who may do everything."""

    installation: Installation
    gateway: GatewayProcess
    owner: str


@dataclass(frozen=True, slots=True)
class Through:
    """One community of it, asked through the gateway; `client` carries a key with every scope."""

    grown: Grown
    url: str
    community: UUID
    api_key: str
    client: httpx2.AsyncClient

    async def settle(self) -> None:
        await drained(self.grown.installation)


@pytest.fixture(scope="session")
def _grown(
    _postgres: PostgresServer | str, _kafka: KafkaBroker | str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grown]:
    for engine, one in (("postgres", _postgres), ("kafka", _kafka)):
        if isinstance(one, str):
            missing(engine, one)
    assert isinstance(_postgres, PostgresServer)
    assert isinstance(_kafka, KafkaBroker)
    name = f"gateway{secrets.token_hex(4)}"
    directory = tmp_path_factory.mktemp("grown")
    installation = split(directory, _postgres.create_database(name), _kafka.bootstrap, prefix=f"{name}.")
    try:
        urls = {name: process.url for name, process in installation.processes.items()}
        with gateway_before(tmp_path_factory.mktemp("gateway"), targets_of(urls)) as gateway:
            yield Grown(installation, gateway, signed_in(installation, gateway.url))
    finally:
        installation.stop()


@pytest.fixture
def grown(_grown: Grown) -> Grown:
    """The installation itself, for tests that ask without a credential or stop one of its processes."""
    return _grown


def signed_in(installation: Installation, url: str) -> str:
    """The cookie of the owner, who followed a fresh sign-in link through the gateway."""
    made = json.loads(command(installation.processes["members"].environment, "bootstrap"))
    with httpx2.Client(base_url=url, headers={"Origin": url}) as browser:
        token = made["sign_in_url"].partition("token=")[2]
        reply = browser.post("/v1/sessions/sign-in", data={"token": token})
        assert reply.status_code == 303, reply.text
        return str(browser.cookies["guildhall_session"])


@asynccontextmanager
async def community_through(grown: Grown) -> AsyncIterator[Through]:
    url = grown.gateway.url
    owner = {"Origin": url, "Cookie": f"guildhall_session={grown.owner}"}
    first = {"Guildhall-Community": grown.installation.community}
    async with client_of(url, headers=owner, timeout=60) as browser:
        made = await browser.post("/v1/communities", json={"name": "One of many"}, headers=first)
        assert made.status_code in (200, 201), made.text
        community = made.json()["id"]
        there = {"Guildhall-Community": community}
        scopes = {"name": "everything", "scopes": sorted(ROLES["owner"])}
        key = await browser.post("/v1/keys", json=scopes, headers=there)
        assert key.status_code in (200, 201), key.text
    secret = key.json()["secret"]
    wait_until_known(dict.fromkeys(PREFIXES, url), secret)
    headers = {"Authorization": f"Bearer {secret}"}
    async with client_of(url, headers=headers, timeout=60) as client:
        yield Through(grown, url, UUID(community), secret, client)


@pytest.fixture
async def through(grown: Grown) -> AsyncIterator[Through]:
    """A fresh community of the grown-up installation, asked through the gateway."""
    async with community_through(grown) as one:
        yield one
