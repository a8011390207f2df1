"""The generated configuration: what is checked in is what would be generated, and what would not be safe is not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.gateway.config import Gateway, GatewayError, render, routes
from services.commands.gateway import targets_from
from tests.crash.processes import clean_environment
from tests.support.gateway import MAX_BODY, PREFIXES, make_certificate
from tests.support.platform import App
from tests.support.require import missing

CHECKED_IN = Path(__file__).parents[3] / "deploy" / "gateway" / "haproxy.cfg"
LOCAL = {service: ["127.0.0.1:8000", "127.0.0.1:8001"] for service in PREFIXES}


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "services", "gateway-config", *arguments]
    return subprocess.run(program, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)


def test_what_is_checked_in_is_what_the_command_prints() -> None:
    done = command("--metrics-bind", ":8404")
    assert done.returncode == 0, done.stderr
    assert done.stdout == CHECKED_IN.read_text(), "run: make docs"


def test_the_gateway_itself_finds_no_fault_with_it(tmp_path: Path) -> None:
    if shutil.which("haproxy") is None:
        missing("gateway", "haproxy is not installed")
    config = tmp_path / "haproxy.cfg"
    config.write_text(command("--certificate", str(make_certificate(tmp_path)[1])).stdout)
    done = subprocess.run(["haproxy", "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize("service", PREFIXES)
def test_every_prefix_a_service_declares_is_a_route(service: str) -> None:
    segments, deep = routes(PREFIXES)
    found = {*segments[service], *(pattern for pattern, whose in deep if whose == service)}
    assert len(found) == len(set(PREFIXES[service]))


def test_sub_resources_are_routed_with_everything_below_them_and_nothing_beside() -> None:
    _, deep = routes({"one": ["events"], "other": ["events/*/decisions", "events/*/decisions/*/again-and"]})
    assert deep == [
        ("^/v1/events/[^/]+/decisions(/|$)", "other"),
        ("^/v1/events/[^/]+/decisions/[^/]+/again-and(/|$)", "other"),
    ]


async def test_every_event_stream_ends_the_way_by_which_the_gateway_knows_it(app: App) -> None:
    paths = (await app.client.get("/openapi.json")).json()["paths"]
    streams = [
        path
        for path, operations in paths.items()
        for operation in operations.values()
        if "text/event-stream" in operation.get("responses", {}).get("200", {}).get("content", {})
    ]
    assert streams
    assert all(path.endswith("/stream") for path in streams)


def test_without_a_certificate_only_the_loopback_is_listened_on() -> None:
    for bind in ("127.0.0.1:8080", "[::1]:8080", "localhost:8080"):
        assert f"bind {bind}\n" in render(PREFIXES, Gateway(LOCAL, MAX_BODY, bind=bind))
    for bind in (":8080", "0.0.0.0:8080", "*:8080", "10.0.0.1:8080", "[::]:8080"):
        with pytest.raises(GatewayError, match="loopback"):
            render(PREFIXES, Gateway(LOCAL, MAX_BODY, bind=bind))
    done = command("--certificate", "", "--bind", ":8080")
    assert (done.returncode, "only the loopback" in done.stderr) == (1, True)


def test_a_service_without_a_replica_is_refused() -> None:
    with pytest.raises(GatewayError, match="no replica of rewards"):
        render(PREFIXES, Gateway({**LOCAL, "rewards": []}, MAX_BODY))


def test_nothing_can_be_smuggled_into_the_configuration() -> None:
    with pytest.raises(GatewayError):
        render(PREFIXES, Gateway({**LOCAL, "rewards": ["rewards:1\n    server evil 10.0.0.1:80"]}, MAX_BODY))


def test_replicas_are_named_one_by_one_or_by_a_name_that_stands_for_all() -> None:
    targets = targets_from(["rewards=10.0.0.1:80", "rewards=10.0.0.2:80", "events=events.example"])
    assert targets == {
        "members": ["members:8000"],
        "events": ["events.example:8000"],
        "rewards": ["10.0.0.1:80", "10.0.0.2:80"],
        "notify": ["notify:8000"],
    }
    with pytest.raises(GatewayError, match="kitchen"):
        targets_from(["kitchen=10.0.0.1:80"])


def test_the_product_s_own_limit_is_the_gateway_s() -> None:
    assert f"limit of {MAX_BODY} bytes" in render(PREFIXES, Gateway(LOCAL, MAX_BODY))


def test_every_answer_of_its_own_is_documented() -> None:
    page = (CHECKED_IN.parents[2] / "docs" / "gateway.md").read_text()
    answers = set(re.findall(r'"status": (\d+), "code": "(\w+)"', CHECKED_IN.read_text()))
    assert len(answers) > 8
    assert {(status, code) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.M)} == answers
