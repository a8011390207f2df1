"""A whole installation moves, killed again and again on the way, and life goes on over there as if nothing had been."""

import random
from pathlib import Path
from typing import Any

from services.events.importers import client
from services.events.importers.lines import Good
from tests.commands.moving.target import Target, contents
from tests.crash import harness
from tests.crash.processes import Installation, embedded
from tests.crash.test_crash import SEED, say, some_events
from tests.support.http import client_of
from tests.support.streams import lines_of

EVENTS, KILLS, CHUNK = 2000, 6, 400


async def post(installation: Installation, events: list[dict[str, Any]]) -> None:
    lines = (Good(number, event) for number, event in enumerate(events, 1))
    async with client_of(installation.url("events"), timeout=60.0) as http:
        outcome = await client.post(
            http, installation.key, lines, name="moved", options=client.Options(batch=100), on_progress=lambda _: None
        )
    assert outcome.progress.accepted == len(events), outcome.problems[:3]


async def cursor_of(installation: Installation) -> str:
    """Where a client that follows the live tail is now: as the first frame that comes tells it."""
    http = client_of(installation.url("events"), timeout=60.0)
    http.headers["Authorization"] = f"Bearer {installation.key}"
    async with http, lines_of(http, "/v1/events/stream", "a0:0,s0:0") as lines:
        async for line in lines:
            if line.startswith("id: "):
                return line.removeprefix("id: ")
    raise AssertionError("the stream ended")


async def ids_after(installation: Installation, cursor: str, wanted: str) -> None:
    """Follow the tail from `cursor` until the activity with that source id comes."""
    http = client_of(installation.url("events"), timeout=60.0)
    http.headers["Authorization"] = f"Bearer {installation.key}"
    async with http, lines_of(http, "/v1/events/stream", cursor) as lines:
        async for line in lines:
            if line.startswith("data: ") and wanted in line:
                return
    raise AssertionError("the stream ended")


async def board(installation: Installation) -> Any:
    async with client_of(installation.url("rewards"), timeout=60.0) as http:
        headers = {"Authorization": f"Bearer {installation.key}"}
        reply = await http.get("/v1/boards/xp?period=all&limit=100", headers=headers)
    return [(line["rank"], line["member_id"], line["score"]) for line in reply.json()["items"]]


async def test_it_is_killed_in_the_middle_and_nothing_is_lost_or_counted_twice(tmp_path: Path, target: Target) -> None:
    events = some_events(EVENTS + 1)
    old, new = events[:EVENTS], events[EVENTS]
    draw = random.Random(SEED)
    (tmp_path / "here").mkdir()
    here = embedded(tmp_path / "here")
    data_dir = Path(here.settings["data_dir"])
    try:
        await post(here, old[: EVENTS // 2])
        await harness.drained(here)
        before = await board(here)
        cursor = await cursor_of(here)
        await post(here, old[EVENTS // 2 :])
    finally:
        # With work under way: rows in outboxes, records that nobody has read.
        here.processes["up"].kill()
    files = contents(data_dir)

    for kill in range(KILLS):
        after = draw.randrange(1, 25)
        said = target.move_until(data_dir, after, "--chunk", str(CHUNK))
        say(f"kill {kill}: after {said[-1:]}")
        assert len(said) <= after, f"kill {kill} (seed {SEED})"
    code, compared, errors = target.move(data_dir, "--chunk", str(CHUNK))
    assert (code, compared["equal"]) == (0, True), f"{compared} {errors} (seed {SEED})"
    told = {line["what"]: line for line in compared["compared"]}
    assert told["events.activities"]["here"] != "0 rows, 0000000000000000"
    assert [what for what in told if what.startswith("board xp")]
    assert contents(data_dir) == files

    code, again, _ = target.move(data_dir)
    assert (code, again["compared"], bool(again["moved_before"])) == (0, [], True)

    (tmp_path / "there").mkdir()
    there = target.start(here, tmp_path / "there")
    try:
        await harness.drained(there)
        assert len(await board(there)) >= len(before) > 0
        await post(there, [*old, new])
        await harness.drained(there)
        await ids_after(there, cursor, str(new["id"]))
    finally:
        codes = there.stop()
    assert set(codes.values()) == {0}
    await harness.inspect(there, [*old, new], moved=True)
