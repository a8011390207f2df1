"""An installation with a million events of a hundred thousand members moves; killed on the way it ends the same.

`GUILDHALL_TEST_MOVED_EVENTS` makes it smaller or larger.
"""

import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.events.importers import client
from services.events.importers.lines import Good
from tests.commands.moving.target import Target
from tests.crash import harness
from tests.crash.processes import embedded
from tests.crash.test_crash import say
from tests.support.http import client_of

EVENTS = int(os.environ.get("GUILDHALL_TEST_MOVED_EVENTS", "1000000"))
MEMBERS = max(10, EVENTS // 10)
KILLS = 3
DRAIN_SECONDS = 2 * 3600.0
KINDS = ("message.created",) * 6 + ("checkin.submitted", "question.asked", "answer.posted", "event.attended")


def history() -> Iterator[Good]:
    """Every member comes up; over sixty days, in order."""
    draw, begin = random.Random(1), datetime(2026, 8, 1, tzinfo=UTC)
    step = timedelta(days=60) / EVENTS
    for number in range(EVENTS):
        member = number if number < MEMBERS else draw.randrange(MEMBERS)
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/large",
            "type": draw.choice(KINDS),
            "time": (begin + number * step).isoformat(),
            "subject": f"s{number}",
            "data": {"actor": f"trace:m{member}", "group": f"trace:g{number % 50}", "length": number % 300},
        }
        yield Good(number + 1, event)


@pytest.mark.soak
async def test_a_million_events_move_and_are_equal(tmp_path: Path, target: Target) -> None:
    here = embedded(tmp_path)
    data_dir = Path(here.settings["data_dir"])
    began = time.monotonic()

    def took(what: str) -> None:
        say(f"{time.monotonic() - began:7.0f} s  {what}")

    try:
        options = client.Options(batch=500, lanes=4, patience=600.0)
        async with client_of(here.url("events"), timeout=120.0) as http:
            outcome = await client.post(http, here.key, history(), name="large", options=options, on_progress=_quiet)
        assert outcome.progress.accepted == EVENTS
        took(f"{EVENTS} events are taken")
        await harness.drained(here, DRAIN_SECONDS)
        took("they are stored, scored and told of")
    finally:
        here.stop()
    size = sum(path.stat().st_size for path in data_dir.iterdir())  # noqa: ASYNC240 - nothing else runs here
    took(f"the files have {size >> 20} MiB")
    for kill in range(KILLS):
        said = target.move_until(data_dir, (EVENTS // 5000) * (kill + 1))
        took(f"killed after {len(said)} lines, at {said[-1]!r}")
    code, compared, errors = target.move(data_dir)
    took("moved and compared")
    assert (code, compared["equal"]) == (0, True), errors
    for line in compared["compared"]:
        say(f"  {line['what']}: {line['there']}")
    told = {line["what"]: line["there"] for line in compared["compared"]}
    assert told["events.activities"].startswith(f"{EVENTS} rows")
    assert told["members.members"].startswith(f"{MEMBERS} rows")


def _quiet(_: client.Progress) -> None:
    return None
