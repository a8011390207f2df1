"""Calls to addresses that people typed in: looked up once, checked, and made to the very address that was checked.

Guaranteed: no call goes to a link-local, multicast or metadata address, nor, unless `private` is allowed, to one that
is not of the public internet; nothing is followed (no redirects, no proxies, no cookies); of an answer only its first
64 KiB are read. What a call does before its first byte leaves is told apart from what happens afterwards.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpx2

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
MOST_BYTES = 64 * 1024
LONGEST = 2000
SETTING = "GUILDHALL_PRIVATE_CHANNELS"

# Where clouds tell a machine its credentials, beside 169.254.169.254, which is link-local.
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
_TRANSLATED = ip_network("64:ff9b::/96")
Address = IPv4Address | IPv6Address


class Refused(Exception):
    """The address may not be called; the message says why, and which setting would allow it."""


class NotCalled(Exception):
    """It failed before a byte of the request left."""


class NoAnswer(Exception):
    """The request, or a part of it, left; what came of it is not known."""


@dataclass(frozen=True, slots=True)
class Call:
    """`url` may hold a secret: it is never logged, nor part of an error."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` in lower case; `whole` is False when the connection broke before the body had ended."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


def checked(url: str, *, private: bool) -> httpx2.URL:
    """The address as a URL; Refused for another scheme, for one without a host, for an IP that may not be called."""
    if len(url) > LONGEST:
        raise Refused(f"an address has at most {LONGEST} characters")
    try:
        made = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise Refused("this is no address") from error
    if made.scheme not in ("http", "https") or not made.host:
        raise Refused("an address begins with https:// or http:// and has a host")
    if made.userinfo or made.fragment:
        raise Refused("an address has no user, password or fragment in it")
    try:
        literal = ip_address(made.host)
    except ValueError:
        return made
    check(literal, private=private)
    return made


def check(address: Address, *, private: bool) -> None:
    """Refused unless this address may be called."""
    for one in (address, *_inner(address)):
        if one.is_link_local or one.is_multicast or one.is_unspecified or one in _METADATA:
            raise Refused(f"{address} is never called: link-local, multicast or a cloud's metadata")
        if isinstance(one, IPv4Address) and one == IPv4Address("255.255.255.255"):
            raise Refused(f"{address} is never called: it is everybody's")
    if not private and not all(one.is_global for one in (address, *_inner(address)) if not _wraps(one)):
        raise Refused(f"{address} is not of the public internet; {SETTING}=true allows it")


def _inner(address: Address) -> list[Address]:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return []
    teredo = address.teredo
    found = [address.ipv4_mapped, address.sixtofour, teredo[1] if teredo is not None else None]
    if address in _TRANSLATED:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def _wraps(address: Address) -> bool:
    return bool(_inner(address))


async def address_of(url: httpx2.URL, *, private: bool) -> str:
    """The one address a call goes to. Refused when any that the name has may not be called: whoever gives the name
    chooses which of them comes first. NotCalled when it has none."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(url.raw_host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise NotCalled(f"the name could not be looked up ({type(error).__name__})") from error
    addresses = [str(info[4][0]).partition("%")[0] for info in found]
    for one in addresses:
        check(ip_address(one), private=private)
    if not addresses:
        raise NotCalled("the name has no address")
    return addresses[0]


class Outside:
    """POSTs of JSON. One for a process; every call has a connection of its own, because one that was kept open may
    break in a way that looks as if the request had left."""

    def __init__(self, *, private: bool, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._private = private
        self._seconds = answer_seconds
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def post(self, call: Call) -> Answer:
        """What was answered, whatever its status. Refused, NotCalled, NoAnswer otherwise."""
        url = checked(call.url, private=self._private)
        address = await address_of(url, private=self._private)
        left = asyncio.Event()

        async def noted(event: str, info: Any) -> None:
            if event.endswith("send_request_headers.started"):
                left.set()

        timeout = {"connect": CONNECT_SECONDS, "read": self._seconds, "write": self._seconds, "pool": CONNECT_SECONDS}
        request = httpx2.Request(
            "POST",
            url.copy_with(host=address),
            headers={
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "guildhall",
                **call.headers,
            },
            content=call.body,
            extensions={"timeout": timeout, "sni_hostname": url.raw_host.decode("ascii"), "trace": noted},
        )
        try:
            async with asyncio.timeout(self._seconds):
                response = await (await self._opened()).handle_async_request(request)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            # Never the error's own text, which may have the address in it and the secret in that.
            raise (NoAnswer if left.is_set() else NotCalled)(type(error).__name__) from None
        return await self._read(response)

    async def _opened(self) -> httpx2.AsyncHTTPTransport:
        """Made for the first call, and beside the event loop: reading the certificates of the world takes a tenth of a
        second, of every start, and most processes call nobody for long."""
        if self._transport is None:
            context = await asyncio.to_thread(ssl.create_default_context)
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
            # Calls that came meanwhile wait for the same: the first to be back makes it.
            self._transport = self._transport or httpx2.AsyncHTTPTransport(verify=context, limits=limits, retries=0)
        return self._transport

    async def _read(self, response: httpx2.Response) -> Answer:
        body, whole = bytearray(), True
        try:
            async with asyncio.timeout(self._seconds):
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > MOST_BYTES:
                        break
        except (httpx2.HTTPError, OSError, TimeoutError):
            whole = False
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body[:MOST_BYTES]), whole)

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()
