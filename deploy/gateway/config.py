"""The gateway's configuration, for HAProxy: made from what the services declare, so that no prefix is forgotten.

`guildhall gateway-config` prints what `render` makes; haproxy.cfg beside is that for services under their own names.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from ipaddress import ip_address
from itertools import chain

from jinja2 import Environment, StrictUndefined

MAX_CONNECTIONS = 4000
"""Of all clients together, event streams among them; further ones wait to be accepted."""
REQUESTS_PER_REPLICA = 128
"""In the hands of one process; more wait here, where they can be given to another. A process is at its peak with 32."""
HEADER_BYTES = 16 * 1024
TARGET_BYTES = 8 * 1024
BUFFER_BYTES = 32 * 1024
HOPELESS = 16
"""So many times the product's limit is refused unseen. What is less far over the service refuses itself: it counts what
gzip packed and what comes without a length, and reads on, while the gateway hangs up on a client that is still sending
and may so never hear why."""
REPLICAS_OF_A_NAME = 12
"""Addresses a name may stand for: more replicas than partitions of a topic (12 by default) have nothing to do."""
RETRY_SECONDS = 2
STOP_SECONDS = 30

REQUEST_ID = "%[var(txn.id)]"

TITLES = {
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""Written out: the interpreter's own names differ from version to version, the generated file must not."""


class GatewayError(Exception):
    """This gateway cannot be configured; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """`bind` is `host:port`, or `fd@N` for a listening socket that is handed over. `certificate` is a PEM file of the
    certificate, its chain and its key; without one only the loopback is listened on. `targets` maps each service to
    the `host:port` of its replicas; a host that is a name stands for every address it resolves to, asked again and
    again. `max_body` is the product's limit in bytes."""

    targets: Mapping[str, Sequence[str]]
    max_body: int
    bind: str = "127.0.0.1:8080"
    certificate: str = ""
    metrics_bind: str = "127.0.0.1:8404"
    connections_per_address: int = 500


def routes(prefixes: Mapping[str, Iterable[str]]) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """(first segments by service, (pattern, service) of sub-resources, those with more segments later: the last
    wins)."""
    segments = {service: [p for p in those if "/" not in p] for service, those in prefixes.items()}
    deep = [(prefix, service) for service, those in prefixes.items() for prefix in those if "/" in prefix]
    deep.sort(key=lambda found: (found[0].count("/"), found[0]))
    patterns = [("^/v1/" + re.escape(p).replace(r"\*", "[^/]+").replace(r"\-", "-") + "(/|$)", s) for p, s in deep]
    return segments, patterns


def render(prefixes: Mapping[str, Iterable[str]], gateway: Gateway) -> str:
    """The whole configuration. GatewayError when there is nothing to send requests to, or they would travel in the
    clear."""
    _check(prefixes, gateway)
    segments, sub_resources = routes(prefixes)
    named = any(not _is_address(_host(t)) for targets in gateway.targets.values() for t in targets)
    servers = {service: _servers(service, gateway.targets[service]) for service in prefixes}
    first, *others = servers.values()
    settings = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False)
    template = settings.from_string((files("deploy.gateway") / "haproxy.cfg.j2").read_text())
    return template.render(
        bind=gateway.bind,
        certificate=gateway.certificate,
        metrics_bind=gateway.metrics_bind,
        connections_per_address=gateway.connections_per_address,
        max_connections=MAX_CONNECTIONS,
        requests_per_replica=REQUESTS_PER_REPLICA,
        header_bytes=HEADER_BYTES,
        buffer_bytes=BUFFER_BYTES,
        stop_seconds=STOP_SECONDS,
        named=named,
        own_errors=_own_errors(),
        limits=_limits(gateway.max_body),
        nowhere=_problem(404, "not_found", "nothing is at %[var(txn.path),json(utf8s)]; see /docs"),
        services=list(prefixes),
        segments_of=segments,
        sub_resources=sub_resources,
        servers_of=servers,
        any_servers=[*first, *(f"{line} backup" for lines in others for line in lines)],
    )


def _check(prefixes: Mapping[str, Iterable[str]], gateway: Gateway) -> None:
    for service in prefixes:
        if not gateway.targets.get(service):
            raise GatewayError(f"no replica of {service} is named")
    for value in (
        gateway.bind,
        gateway.certificate,
        gateway.metrics_bind,
        *chain.from_iterable(gateway.targets.values()),
    ):
        if re.search(r"[\s'\"\\#]", value):
            raise GatewayError(f"{value!r} cannot stand in the configuration")
    if not gateway.certificate and not gateway.bind.startswith("fd@") and not _is_loopback(_host(gateway.bind)):
        raise GatewayError(f"without a certificate only the loopback is listened on, not {gateway.bind}")


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _servers(service: str, targets: Sequence[str]) -> list[str]:
    lines = []
    for number, target in enumerate(targets, 1):
        if _is_address(_host(target)):
            lines.append(f"server {service}-{number} {target}")
        else:
            lines.append(f"server-template {service}-{number}- {REPLICAS_OF_A_NAME} {target}")
    return lines


def _problem(status: int, code: str, detail: str, **more: object) -> str:
    """A problem document as the services write it, in the gateway's format language."""
    body: dict[str, object] = {"type": f"/problems/{code}", "title": TITLES[status], "status": status}
    return json.dumps({**body, "code": code, "detail": detail, "request_id": REQUEST_ID, **more})


def _own_errors() -> list[dict[str, object]]:
    """What the gateway answers when a service does not."""
    again = f" hdr Retry-After {RETRY_SECONDS}"
    found = (
        (400, "request_unreadable", "this is no HTTP request as it should be", ""),
        (408, "request_timeout", "the request did not come in time; send it again", ""),
        (500, "internal", "an error on our side; quote the request id when you report it", ""),
        (502, "bad_gateway", "the service broke off; whether it did the work is not known", again),
        (503, "unavailable", "the service behind this path is away or has too much to do; send it again", again),
        (504, "gateway_timeout", "the service did not answer in time; whether it will do the work is not known", again),
    )
    return [{"status": s, "body": _problem(s, code, detail), "headers": headers} for s, code, detail, headers in found]


def _limits(max_body: int) -> list[dict[str, object]]:
    """What is refused before any replica hears of it: (status, document, condition)."""
    too_large = f"the body is over the limit of {max_body} bytes; send less at once"
    return [
        {
            "status": 414,
            "body": _problem(414, "target_too_long", f"path and query are over {TARGET_BYTES} bytes"),
            "condition": f"url,length gt {TARGET_BYTES}",
        },
        {
            "status": 431,
            "body": _problem(431, "headers_too_large", f"the headers are over {HEADER_BYTES} bytes"),
            "condition": f"req.hdrs,length gt {HEADER_BYTES}",
        },
        {
            "status": 413,
            "body": _problem(413, "body_too_large", too_large, limit=max_body),
            "condition": f"req.hdr_val(content-length) gt {max_body * HOPELESS}",
        },
    ]
