"""A replay in a real installation: killed, cancelled, resumed; nothing counts twice, what is lacking is made up (E16).

`make soak` takes a whole month of the recorded chat.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.events.importers import client
from services.events.importers.lines import Good
from tests.crash.harness import drained
from tests.crash.processes import Installation, embedded
from tests.crash.test_crash import say, some_events
from tests.support.http import client_of

EVER = {"from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
BOOKS = {
    "rewards": (
        "SELECT owner_id, unit, balance FROM accounts WHERE system = 0 AND balance != 0",
        "SELECT slot, member_id, negated FROM board_scores",
        "SELECT event_id, rule_id, receiver, unit, verdict, amount FROM decisions",
        "SELECT count(*), sum(amount) FROM entries WHERE amount > 0",
    ),
    "notify": ("SELECT count(*) FROM messages",),
    "events": ("SELECT count(*), count(DISTINCT event_id) FROM activities", "SELECT name, stored FROM imports"),
    "members": ("SELECT count(*) FROM members",),
}


def books(installation: Installation) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a replay must leave as it is."""
    out = {}
    for service, queries in BOOKS.items():
        path = Path(installation.settings["data_dir"]) / f"{service}.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            for query in queries:
                out[query] = sorted(db.execute(query).fetchall())
    return out


async def post(installation: Installation, events: Sequence[dict[str, Any]]) -> None:
    lines = (Good(number, event) for number, event in enumerate(events, 1))
    async with client_of(installation.url("events"), timeout=30.0) as http:
        outcome = await client.post(http, installation.key, lines, name="chat")
    assert outcome.progress.accepted == len(events), outcome.problems[:3]
    await drained(installation)


async def ask(installation: Installation, method: str, path: str, **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {installation.key}"}
    async with client_of(installation.url("events"), headers=headers, timeout=30.0) as http:
        reply = await http.request(method, path, **more)
        assert reply.status_code < 300, reply.text
        answer: dict[str, Any] = reply.json()
        return answer


async def until(installation: Installation, path: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(300):
        while not enough(now := await ask(installation, "GET", path)):
            await asyncio.sleep(0.1)
    return now


async def replay(installation: Installation, speed: int) -> dict[str, Any]:
    made = await ask(installation, "POST", "/v1/replays", json={**EVER, "speed": speed})
    done = await until(installation, f"/v1/replays/{made['id']}", lambda now: now["state"] == "done")
    await drained(installation)
    return done


async def interrupted(installation: Installation, count: int, speed: int) -> None:
    """Counted, begun, killed in the middle, cancelled, resumed: everything was sent, and nothing has changed."""
    before = books(installation)
    dry = await ask(installation, "POST", "/v1/replays", json={**EVER, "dry_run": True})
    made = await ask(installation, "POST", "/v1/replays", json={**EVER, "speed": speed})
    assert dry["total"] == made["total"] == count
    path = f"/v1/replays/{made['id']}"
    await until(installation, path, lambda now: now["sent"] > count // 4)
    up = installation.processes["up"]
    await asyncio.to_thread(up.kill)
    await asyncio.to_thread(up.start)
    stopped = await ask(installation, "GET", path)
    assert 0 < stopped["sent"] < count
    await until(installation, path, lambda now: now["sent"] > stopped["sent"])
    cancelled = await ask(installation, "POST", f"{path}/cancel")
    await asyncio.sleep(2)
    resting = await ask(installation, "GET", path)
    assert (resting["state"], resting["sent"]) == ("cancelled", cancelled["sent"])
    assert resting["sent"] < count
    await ask(installation, "POST", f"{path}/resume")
    done = await until(installation, path, lambda now: now["state"] == "done")
    assert done["sent"] == count
    await drained(installation)
    assert books(installation) == before
    say(f"{count} sent once more, killed at {stopped['sent']}, cancelled at {resting['sent']}")


async def test_a_replay_that_is_killed_and_cancelled_goes_on_and_changes_nothing(tmp_path: Path) -> None:
    installation = embedded(tmp_path)
    try:
        events = some_events(3000)
        await post(installation, events)
        await interrupted(installation, len(events), speed=400)
    finally:
        installation.stop()


async def test_who_lacks_what_was_sent_takes_it(tmp_path: Path) -> None:
    """The rewards database is the one of a backup; its place on the log is not."""
    events = some_events(1200)
    data = tmp_path / "data"
    installation = embedded(tmp_path)
    try:
        await post(installation, events[:500])
        up = installation.processes["up"]
        await asyncio.to_thread(up.stop)
        shutil.copy(data / "rewards.sqlite", tmp_path / "backup.sqlite")
        await asyncio.to_thread(up.start)
        await post(installation, events[500:])
        whole = books(installation)
        await asyncio.to_thread(up.stop)
        for path in data.glob("rewards.sqlite*"):
            path.unlink()
        shutil.copy(tmp_path / "backup.sqlite", data / "rewards.sqlite")
        await asyncio.to_thread(up.start)
        await drained(installation)
        assert books(installation) != whole
        await replay(installation, speed=1000)
        assert books(installation) == whole
    finally:
        installation.stop()


@pytest.mark.soak
async def test_a_month_of_a_large_chat_is_sent_once_more(tmp_path: Path) -> None:
    month = [event for event in some_events(None) if event["time"].startswith("2021-01")]
    installation = embedded(tmp_path)
    try:
        await post(installation, month)
        await interrupted(installation, len(month), speed=max(200, len(month) // 8))
    finally:
        installation.stop()
