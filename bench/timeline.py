"""The timeline of a great many stored events, by each of its filters and at each depth, over HTTP on PostgreSQL."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx2
import uvloop
from sqlalchemy import text

from bench import report
from bench.installation import Made, prepare, running, settings_of
from bench.pipeline import start_postgres
from bench.sizes import Size
from kit.clock import system_clock
from kit.contracts import identity_member_id
from kit.database import Database
from kit.http import encode_cursor
from services.compose import compose
from services.events import tables as t

STEP = 500_000
DAYS = 400
PEOPLE, GROUPS = 50_000, 300
LIMIT_MS = 50.0
COLUMNS = (
    "filter",
    "first page: p50 ms",
    "p95 ms",
    "in the middle: p50 ms",
    "p95 ms",
    "near the end: p50 ms",
    "p95 ms",
)

# Some write much more than others, and some groups are much busier; one type in a hundred thousand is rare.
FILL = """
INSERT INTO activities (event_id, community_id, source, source_id, type, subject, actor, actor_id, author, author_id,
  group_ref, occurred_at, received_at, effective_at, import_name, replay_id, connection_id, flags, problem, data,
  log_partition, log_offset, day)
SELECT gen_random_uuid(), :community, '/bots/one', 'm' || n,
  CASE WHEN kind < 0.00001 THEN 'order.paid' WHEN kind < 0.02 THEN 'checkin.submitted' WHEN kind < 0.05 THEN 'poke'
    WHEN kind < 0.3 THEN 'reaction.added' ELSE 'message.created' END,
  n::text, 'qq:' || person, people[person + 1], NULL, NULL, 'qq:' || room, at, at, at, NULL, NULL, NULL, '[]', NULL,
  jsonb_build_object('actor', 'qq:' || person, 'group', 'qq:' || room, 'length', person % 200, 'kind', 'text'),
  n % 12, n / 12, at::date
FROM (SELECT n, random() AS kind, floor(:people * random() ^ 3)::int AS person,
    floor(:groups * random() ^ 2)::int AS room, CAST(:now AS timestamptz) - random() * :days * interval '1 day' AS at
  FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n) AS made,
  (SELECT CAST(:ids AS uuid[]) AS people) AS those
"""


async def fill(made: Made, rows: int, now: datetime) -> float:
    """The rows, then the indexes over them; seconds it took."""
    runtime = compose(made.settings)
    db = runtime.services["events"].db
    started = perf_counter()
    ids = [identity_member_id(made.community, f"qq:{n}") for n in range(PEOPLE)]
    same = {"community": made.community, "people": PEOPLE, "groups": GROUPS, "days": DAYS, "now": now, "ids": ids}
    try:
        await _indexes(db, there=False)
        for first in range(0, rows, STEP):
            async with db.begin() as tx:
                last = min(first + STEP, rows) - 1
                await tx.execute(text(FILL), {**same, "first": first, "last": last})
        await _indexes(db, there=True)
        async with db.begin() as tx:
            await tx.execute(text("ANALYZE activities"))
    finally:
        for one in runtime.services.values():
            await one.db.close()
    return perf_counter() - started


async def _indexes(db: Database, *, there: bool) -> None:
    """Filling a table through all of its indexes takes several times as long."""
    for index in sorted(t.activities.indexes, key=lambda one: str(one.name)):
        async with db.engine.begin() as conn:
            await conn.run_sync(index.create if there else index.drop)


def _asked(made: Made, now: datetime, times: int) -> dict[str, list[dict[str, Any]]]:
    """Parameters of each request, by filter."""
    random = Random(5)

    def member() -> UUID:
        return identity_member_id(made.community, f"qq:{int(PEOPLE * random.random() ** 3)}")

    def group() -> str:
        return f"qq:{int(GROUPS * random.random() ** 2)}"

    def week() -> dict[str, str]:
        end = now - timedelta(days=random.random() * (DAYS - 8))
        return {"from": (end - timedelta(days=7)).isoformat(), "to": end.isoformat()}

    common = ["message.created", "reaction.added", "checkin.submitted"]
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "none": dict,
        "member": lambda: {"member": str(member())},
        "type": lambda: {"type": random.choice(common)},
        "rare type": lambda: {"type": "order.paid"},
        "group": lambda: {"group": group()},
        "a week": week,
        "member and type": lambda: {"member": str(member()), "type": random.choice(common)},
        "group and type": lambda: {"group": group(), "type": random.choice(common)},
        "group and rare type": lambda: {"group": group(), "type": "order.paid"},
        "member and group": lambda: {"member": str(member()), "group": group()},
        "all four": lambda: {"member": str(member()), "group": group(), "type": random.choice(common), **week()},
    }
    return {name: [way() for _ in range(times)] for name, way in ways.items()}


def _measure(client: httpx2.Client, asked: list[dict[str, Any]]) -> tuple[float, float]:
    took = []
    for number, params in enumerate(asked):
        started = perf_counter()
        reply = client.get("/v1/events", params=params)
        seconds = perf_counter() - started
        if reply.status_code != 200:
            raise RuntimeError(reply.text)
        if number >= len(asked) // 10:
            took.append(seconds)
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.95)]


def _rows(url: str, made: Made, now: datetime, times: int) -> Iterator[tuple[str, ...]]:
    middle, end = (encode_cursor(["next", (now - timedelta(days=d)).isoformat(), str(UUID(int=0))]) for d in (200, 390))
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {made.api_key}"}, timeout=120) as client:
        for name, asked in _asked(made, now, times).items():
            figures: list[str] = []
            for cursor in (None, middle, end):
                found = [{**params, "cursor": cursor} if cursor else params for params in asked]
                figures += [report.ms(seconds) for seconds in _measure(client, found)]
            yield (name, *figures)


def run(size: Size) -> None:
    report.heading(f"Timeline: {size.timeline:,} stored events, PostgreSQL")
    now = system_clock().astimezone(UTC)
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        postgres = start_postgres(directory, stack)
        if postgres is None:
            return
        made = uvloop.run(prepare(settings_of(directory / "split", postgres.create_database("timeline"))))
        seconds = uvloop.run(fill(made, size.timeline, now))
        report.say(f"Filled within {seconds:.0f} s; {PEOPLE:,} people, {GROUPS} groups, {DAYS} days, 50 a page.\n")
        arguments = ("--data-dir", str(made.settings.data_dir), "--database-url", made.settings.database_url)
        with running("bench.door", *arguments, directory=directory) as child:
            report.table(COLUMNS, list(_rows(child.url, made, now, max(40, size.samples // 10))))
