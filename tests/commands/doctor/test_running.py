"""Checks that hang, raise or take their time hold up nobody; the command ends, and says so with its exit code."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.commands.doctor.clocks import compared
from services.commands.doctor.findings import Finding, State, ok
from services.commands.doctor.running import Check, in_thread, run_all
from tests.crash.processes import clean_environment

ROOT = Path(__file__).parents[3]


async def fine() -> Finding:
    return ok("fine", "well")


async def broken() -> Finding:
    raise KeyError("nobody thought of this")


async def test_a_check_that_raises_is_a_failed_one_and_the_next_is_looked_at() -> None:
    found, hanging = await run_all([[Check("broken", broken, 5), Check("fine", fine, 5)]])
    assert [(one.name, one.state) for one in found] == [("broken", State.FAILED), ("fine", State.OK)]
    assert "KeyError" in found[0].found
    assert not hanging


async def test_behind_a_needed_check_that_failed_nothing_is_looked_at() -> None:
    found, _ = await run_all([[Check("broken", broken, 5, needed=True), Check("fine", fine, 5)]])
    assert [one.name for one in found] == ["broken"]


async def test_a_check_that_cannot_be_cancelled_is_reported_and_said_to_hang() -> None:
    go = asyncio.Event()

    async def stubborn() -> Finding:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return ok("stubborn", "at last")

    found, hanging = await run_all([[Check("stubborn", stubborn, 0.05)], [Check("fine", fine, 5)]])
    assert [(one.name, one.state) for one in found] == [("stubborn", State.FAILED), ("fine", State.OK)]
    assert hanging
    go.set()


async def test_checks_run_side_by_side() -> None:
    """Each waits for the other: one after the other they would never end."""
    met = asyncio.Barrier(2)

    async def meet() -> Finding:
        await met.wait()
        return ok("met", "well")

    found, _ = await run_all([[Check("a", meet, 30)], [Check("b", meet, 30)]])
    assert [one.state for one in found] == [State.OK, State.OK]


async def test_work_on_a_thread_that_never_ends_is_left_alone() -> None:
    go = threading.Event()

    async def away() -> Finding:
        return await in_thread(lambda: ok("away", str(go.wait())))

    found, hanging = await run_all([[Check("away", away, 0.05)]])
    assert (found[0].state, hanging) == (State.FAILED, False)
    go.set()


@pytest.mark.parametrize(
    ("ahead", "doubt", "state"),
    [(0, 0, State.OK), (1.9, 0, State.OK), (-2.1, 0, State.WARNING), (3, 2, State.OK), (31, 0, State.FAILED)],
)
def test_clocks_may_differ_by_two_seconds_and_by_what_the_question_took(
    ahead: float, doubt: float, state: State
) -> None:
    assert compared("a clock", timedelta(seconds=ahead), timedelta(seconds=doubt)).state is state


def command(*arguments: str, **settings: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "services", "doctor", *arguments],
        env=clean_environment(**settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_ends_although_a_file_never_answers(data_dir: Path) -> None:
    (data_dir / "secret").unlink()
    os.mkfifo(data_dir / "secret", 0o600)
    code, said, errors = command("--seconds", "1", data_dir=str(data_dir))
    assert code == 1
    assert "no answer within 1 s" in said
    assert errors == ""


def test_for_machines_it_is_one_line_of_json(data_dir: Path) -> None:
    code, said, _ = command("--json", data_dir=str(data_dir))
    told: dict[str, Any] = json.loads(said)
    assert (code, told["ok"], told["failed"], told["warnings"]) == (0, True, 0, 0)
    assert {frozenset(check) for check in told["checks"]} == {frozenset({"name", "state", "found", "do"})}


def test_warnings_fail_only_when_asked_to_and_services_can_be_named(data_dir: Path) -> None:
    given = {"data_dir": str(data_dir), "host": "0.0.0.0"}
    code, said, _ = command("rewards", **given)
    assert (code, "schema:rewards" in said, "schema:members" in said) == (0, True, False)
    assert command("rewards", "--strict", **given)[0] == 1
    code, _, errors = command("reward", **given)
    assert (code, "no service is called 'reward'" in errors) == (2, True)
