"""A board of a million: the first page, around somebody, somebody's rank; in process and over HTTP, beside Redis."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import exp
from pathlib import Path
from random import Random
from time import perf_counter
from uuid import UUID

import uvloop

from bench import report, wrk
from bench.installation import Made, prepare, running, settings_of
from bench.measure import percentiles, timed
from bench.pipeline import start_postgres
from bench.redis import Client, redis
from bench.report import Skipped
from bench.sizes import Size
from kit.clock import uuid7
from kit.database import Database, insert_many
from services import server
from services.compose import compose
from services.rewards.domain.boards import COMPETITION, Board, Moved, bucket_changes, histogram_changes, slots_of
from services.rewards.handlers import boards, ranking
from services.rewards.store import boards as store

BOARD = "million"
STEP = 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE, NEAR = 100, 5
SET = b"board"
Times = dict[str, list[float]]
PAGE_OF, AROUND, RANK = f"first {PAGE}", f"around one, {NEAR} + 1 + {NEAR}", "one's rank"


@dataclass(frozen=True, slots=True)
class Scores:
    """Members and their scores; most are low, few are high, many are the same."""

    members: list[UUID]
    scores: list[int]
    asked: list[UUID]

    @classmethod
    def of(cls, size: Size) -> "Scores":
        random = Random(11)
        # In the order of their ids, so that a table of a million is filled from one end.
        members = sorted(UUID(int=random.getrandbits(128), version=4) for _ in range(size.board))
        scores = [1 + int(exp(random.gauss(5, 1.4))) for _ in members]
        return cls(members, scores, random.sample(members, min(size.samples, len(members))))

    def steps(self) -> Iterator[list[tuple[UUID, int]]]:
        pairs = zip(self.members, self.scores, strict=True)
        while step := list(islice(pairs, STEP)):
            yield step


async def load(made: Made, scores: Scores) -> float:
    """Make a board of one period, put the scores on it with the functions that the ledger's postings use (the histogram
    in one go), and the members' names beside; seconds it took."""
    runtime = compose(made.settings)
    db = runtime.services["rewards"].db
    started = perf_counter()
    async with db.begin() as tx:
        board = Board(made.community, BOARD, uuid7(tx.now), "A million", "xp", COMPETITION, ("all",), tx.now)
        await boards.create(tx, board)
    slot = slots_of(board, START.date())[0]
    async with db.begin() as tx:
        await store.add_periods(tx, [slot])
        steps = histogram_changes([Moved(slot.id, None, score) for score in scores.scores])
        await store.count_buckets(tx, bucket_changes(steps, await store.count_tallies(tx, steps)))
    for number, step in enumerate(scores.steps()):
        at = START + timedelta(minutes=number)
        async with db.begin() as tx:
            await store.put_scores(tx, {(slot.id, member): store.Score(score, at) for member, score in step})
            await insert_many(tx, db.table("known_members"), [_known(made.community, member) for member, _ in step])
    for one in runtime.services.values():
        await one.db.close()
    return perf_counter() - started


def _known(community: UUID, member: UUID) -> dict[str, object]:
    named = {"display_name": f"Member {member.hex[:6]}", "state": "active", "kind": "person"}
    ids = {"community_id": community, "member_id": member, "version": 1}
    return {**ids, **named, "locale": None, "zone": None, "segments": []}


async def in_process(made: Made, scores: Scores) -> Times:
    """Seconds a read, as a route does it without the HTTP; a rank comes with the first line, as over HTTP."""
    runtime = compose(made.settings)
    db = runtime.services["rewards"].db
    server.tune_collector()
    board = ranking.Asked(made.community, BOARD, "all")
    asked, times = scores.asked, len(scores.asked)
    out = {
        PAGE_OF: await timed(times // 2, lambda _: ranking.page(db, board, PAGE)),
        AROUND: await timed(times, lambda n: ranking.around(db, board, asked[n], NEAR, NEAR)),
        RANK: await timed(times, lambda n: ranking.page(db, board, 1, member=asked[n])),
    }
    await _check(db, board, scores)
    for one in runtime.services.values():
        await one.db.close()
    return out


async def _check(db: Database, board: ranking.Asked, scores: Scores) -> None:
    """The ranks shown are those counted by hand."""
    by_member = dict(zip(scores.members, scores.scores, strict=True))
    for member in scores.asked[:5]:
        line = (await ranking.page(db, board, 1, member=member)).me
        rank = 1 + sum(1 for score in scores.scores if score > by_member[member])
        if line is None or line.rank != rank:
            raise RuntimeError(f"{member} should be {rank}: {line}")


def in_redis(client: Client, scores: Scores) -> Times:
    """The same questions to a sorted set, answered as its users ask them: two commands for a rank with its score."""
    for step in scores.steps():
        client.call("ZADD", SET, *[word for member, score in step for word in (score, member.bytes)])

    def around(member: UUID) -> None:
        rank = client.call("ZREVRANK", SET, member.bytes)
        client.call("ZREVRANGE", SET, max(0, rank - NEAR), rank + NEAR, "WITHSCORES")

    def standing(member: UUID) -> None:
        client.call("ZREVRANK", SET, member.bytes)
        client.call("ZSCORE", SET, member.bytes)

    asked = scores.asked
    return {
        PAGE_OF: _each(asked[: len(asked) // 2], lambda _: client.call("ZREVRANGE", SET, 0, PAGE - 1, "WITHSCORES")),
        AROUND: _each(asked, around),
        RANK: _each(asked, standing),
    }


def _each(members: Sequence[UUID], work: Callable[[UUID], object]) -> list[float]:
    out = []
    for member in members:
        started = perf_counter()
        work(member)
        out.append(perf_counter() - started)
    return out


def over_http(made: Made, scores: Scores, size: Size, directory: Path) -> Iterator[tuple[str, ...]]:
    """Rows of a table: requests a second and latency, at each number of connections."""
    board = f"/v1/boards/{BOARD}"
    paths = {
        PAGE_OF: [f"{board}?limit={PAGE}"],
        AROUND: [f"{board}/around/{member}" for member in scores.asked],
        RANK: [f"{board}?limit=1&member={member}" for member in scores.asked],
    }
    arguments = ["--data-dir", str(made.settings.data_dir)]
    if made.settings.database_url:
        arguments += ["--database-url", made.settings.database_url]
    with running("bench.door", *arguments, directory=directory) as child:
        for what, asked in paths.items():
            script = wrk.get_script(asked, made.api_key)
            wrk.run(child.url, script, directory, connections=8, seconds=1)
            figures = []
            for connections in size.connections:
                done = wrk.run(child.url, script, directory, connections=connections, seconds=size.seconds)
                figures.append(f"{done.rate:,.0f} ({report.ms(done.p50)} / {report.ms(done.p99)})")
            yield (what, *figures)


def run(size: Size) -> None:
    report.heading(f"Boards: {size.board:,} members")
    scores = Scores.of(size)
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        beside = _redis(directory, scores, stack)
        installations = {"SQLite": settings_of(directory / "sqlite")}
        postgres = start_postgres(directory, stack)
        if postgres is not None:
            installations["PostgreSQL"] = settings_of(directory / "split", postgres.create_database("boards"))
        for engine, settings in installations.items():
            made = uvloop.run(prepare(settings))
            seconds = uvloop.run(load(made, scores))
            report.say(f"{engine}: {size.board:,} scores and names put in within {seconds:.0f} s.\n")
            _table(engine, uvloop.run(in_process(made, scores)), beside)
            columns = [f"{n} connections" if n > 1 else "1 connection" for n in size.connections]
            report.say(f"{engine}, over HTTP: requests/s (p50 / p99 ms)\n")
            report.table(("", *columns), list(over_http(made, scores, size, directory)))


def _redis(directory: Path, scores: Scores, stack: ExitStack) -> Times | None:
    try:
        return in_redis(stack.enter_context(redis(directory)), scores)
    except Skipped as missing:
        report.say(f"Redis skipped: {missing}\n")
        return None


def _table(engine: str, ours: Times, beside: Times | None) -> None:
    rows = []
    for what, seconds in ours.items():
        (p50, p99), figures = percentiles(seconds), ["", "", "", ""]
        if beside is not None:
            r50, r99 = percentiles(beside[what])
            figures = [report.us(r50), report.us(r99), report.ratio(p50 / r50), report.ratio(p99 / r99)]
        rows.append((what, report.us(p50), report.us(p99), *figures))
    report.table((f"{engine}, in process, µs", "p50", "p99", "Redis p50", "p99", "p50 of Redis's", "p99"), rows)
