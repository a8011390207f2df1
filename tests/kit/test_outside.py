"""Addresses that people type in: what is called, what never is, and what a failure says about the request."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from kit.outside import MOST_BYTES, Call, NoAnswer, NotCalled, Outside, Refused, address_of, check, checked
from tests.notify.chats import Behaviour, answering, api, cut, hang_up, silent

NEVER = (
    "169.254.169.254", "169.254.0.1", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("private", [True, False])
def test_some_addresses_are_never_called(address: str, private: bool) -> None:
    with pytest.raises(Refused):
        check(ip_address(address), private=private)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_only_when_the_setting_that_is_named_allows_it(address: str) -> None:
    check(ip_address(address), private=True)
    with pytest.raises(Refused, match="GUILDHALL_PRIVATE_CHANNELS=true"):
        check(ip_address(address), private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_ones_always(address: str) -> None:
    check(ip_address(address), private=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bot.example",
        "ftp://bot.example",
        "file:///etc/passwd",
        "http://",
        "https://u:p@bot.example",
        "http://a#b",
        "http://" + "a" * 2000,
    ],
)
def test_what_is_no_address_to_call_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        checked(url, private=True)


def test_an_ip_is_looked_at_at_once_and_in_every_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("http://127.0.0.1", "http://[::1]:80/x", "http://[::ffff:127.0.0.1]"):
        with pytest.raises(Refused):
            checked(url, private=False)


@pytest.mark.parametrize("url", ["http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://localhost/"])
async def test_names_and_odd_spellings_are_looked_at_as_what_they_stand_for(url: str) -> None:
    with pytest.raises((Refused, NotCalled)):
        await address_of(checked(url, private=False), private=False)


def _names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[Any]:
    """Names stand for these addresses, look-up by look-up."""
    asked: list[Any] = []

    async def getaddrinfo(host: Any, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Refused):
        await address_of(checked("http://bot.example", private=False), private=False)


async def test_a_call_goes_to_the_address_that_was_checked_though_the_name_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with api(answering(200, {})) as server:
        port = server.url.rpartition(":")[2]
        asked = _names(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
        outside = Outside(private=True)
        answer = await outside.post(Call(f"http://bot.example:{port}/say", b"{}"))
        await outside.close()
    assert (answer.status, asked) == (200, [b"bot.example"])
    assert server.asked[0][1]["host"] == f"bot.example:{port}"


@pytest.mark.parametrize(("behave", "error"), [(silent, NoAnswer), (hang_up, NoAnswer)])
async def test_when_the_request_has_left_and_nothing_comes_it_is_no_answer(
    behave: Behaviour, error: type[Exception]
) -> None:
    outside = Outside(private=True, answer_seconds=3)
    async with api(behave) as server:
        with pytest.raises(error) as raised:
            await outside.post(Call(f"{server.url}/bot-secret/say", b"{}"))
    assert "secret" not in str(raised.value)
    with pytest.raises(NotCalled) as refused:
        await outside.post(Call(f"{server.url}/bot-secret/say", b"{}"))
    assert "secret" not in str(refused.value)
    await outside.close()


async def test_of_an_answer_so_much_is_read_and_a_cut_one_says_so() -> None:
    outside = Outside(private=True)
    async with api(cut) as server:
        assert (await outside.post(Call(server.url, b"{}"))).whole is False
    async with api(answering(200, b"x" * (4 * MOST_BYTES))) as server:
        assert len((await outside.post(Call(server.url, b"{}"))).body) == MOST_BYTES
    async with api(answering(302, b"", Location="http://127.0.0.1:1/")) as server:
        assert (await outside.post(Call(server.url, b"{}"))).status == 302
        assert len(server.asked) == 1
    await outside.close()
