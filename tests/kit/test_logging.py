"""Log lines: for machines or for people, with what they are about, and never with a secret (K53)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from kit import logging as log_setup
from kit.auth import new_key


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_for_machines_is_one_json_object_with_time_level_and_context(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure("info", "json")
    structlog.contextvars.bind_contextvars(request_id="r-1")
    structlog.get_logger("x").info("something.happened", service="members", number=3)
    [line] = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "something.happened",
        "level": "info",
        "request_id": "r-1",
        "service": "members",
        "number": 3,
    }


def test_a_trace_is_on_the_line_without_the_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "console"):
        log_setup.configure("info", form)
        hidden = "hunter2-in-a-variable"
        try:
            raise RuntimeError(len(hidden))
        except RuntimeError:
            structlog.get_logger("x").exception("it.failed")
        written = capsys.readouterr().err
        assert "RuntimeError: 21" in written
        assert hidden not in written.replace('hidden = "hunter2-in-a-variable"', "")


@pytest.mark.parametrize("mode", ["live", "test"])
def test_what_looks_like_a_credential_is_masked(capsys: pytest.CaptureFixture[str], mode: str) -> None:
    log_setup.configure("info", "json")
    key, _ = new_key(mode)
    token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
    structlog.get_logger("x").warning("odd", header=f"Bearer {key}", url=f"/x?token={token}&y=1", error=f"no {key}")
    written = capsys.readouterr().err
    assert key not in written
    assert token not in written
    assert written.count("[secret]") == 3
    structlog.get_logger("x").warning("deep", headers={"authorization": [f"Bearer {key}"]}, pairs=(("k", token),))
    written = capsys.readouterr().err
    assert key not in written
    assert token not in written


def test_a_credential_inside_a_trace_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure("info", "json")
    key, _ = new_key()
    try:
        raise ValueError(f"cannot use {key}")
    except ValueError:
        structlog.get_logger("x").exception("it.failed")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert key not in written


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure("warning", "json")
    logger = structlog.get_logger("x")
    logger.info("quiet")
    logger.warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]
