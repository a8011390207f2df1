"""TLS ends at the gateway: what is said about it behind, and what is not spoken in the clear."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from deploy.local.gateway import GatewayProcess, targets_of
from tests.deploy.gateway.replica import Replica, served
from tests.support.gateway import PREFIXES, gateway_before, make_certificate
from tests.support.platform import App


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return make_certificate(tmp_path)


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    async with served(Replica("one")) as one:
        yield one


@pytest.fixture
def gateway(replica: Replica, certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[GatewayProcess]:
    targets = targets_of(dict.fromkeys(PREFIXES, replica.url))
    with gateway_before(tmp_path / "gateway", targets, certificate=str(certificate[1])) as process:
        yield process


async def test_the_service_hears_that_the_client_spoke_tls(
    gateway: GatewayProcess, certificate: tuple[Path, Path]
) -> None:
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    async with httpx2.AsyncClient(base_url=gateway.url, verify=trust) as client:
        reply = await client.get("/v1/boards", headers={"X-Forwarded-Proto": "http"})
    assert reply.json()["headers"]["x-forwarded-proto"] == "https"
    assert "max-age" in reply.headers["strict-transport-security"]


def test_http_2_is_offered_and_old_protocols_are_not(gateway: GatewayProcess, certificate: tuple[Path, Path]) -> None:
    there = urlsplit(gateway.url)
    assert there.hostname
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((there.hostname, there.port)) as raw,
        trust.wrap_socket(raw, server_hostname=there.hostname) as spoken,
    ):
        assert spoken.selected_alpn_protocol() == "h2"
        assert spoken.version() in ("TLSv1.2", "TLSv1.3")


async def test_nothing_is_answered_in_the_clear(gateway: GatewayProcess, replica: Replica) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url.replace("https:", "http:")) as client:
        with pytest.raises(httpx2.TransportError):
            await client.get("/v1/boards")
    assert replica.heard == []


async def test_who_signs_in_over_tls_gets_a_cookie_that_never_travels_without(
    app: App, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    targets = targets_of(dict.fromkeys(PREFIXES, app.url))
    with gateway_before(tmp_path / "gateway", targets, certificate=str(certificate[1])) as gateway:
        async with httpx2.AsyncClient(base_url=gateway.url, verify=trust, headers={"Origin": gateway.url}) as browser:
            token = app.sign_in_url.partition("token=")[2]
            assert (await browser.get("/v1/sessions/sign-in", params={"token": token})).status_code == 200
            signed = await browser.post("/v1/sessions/sign-in", data={"token": token})
            assert (signed.status_code, "Secure" in signed.headers["set-cookie"]) == (303, True)
            await app.settle()
            there = {"Guildhall-Community": str(app.community)}
            assert (await browser.get("/v1/boards", headers=there)).status_code == 200
            link = await browser.post("/v1/sessions/links", headers=there)
            assert link.json()["url"].startswith(gateway.url)
