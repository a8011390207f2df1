"""Entries posted through the API, one by one and in batches, and read, beside PostgreSQL doing the least of it."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import uvloop
from sqlalchemy import func, select, text

from bench import report, wrk
from bench.installation import Made, prepare, running, settings_of
from bench.pipeline import start_postgres
from bench.sizes import Size
from deploy.local.postgres import USER, PostgresServer, binaries
from kit.clock import uuid7
from kit.contracts import identity_member_id
from kit.settings import Settings
from services.compose import compose
from services.rewards.domain.ledger import ADJUST, ADJUSTMENT, Posting, digest
from services.rewards.handlers import ledger

PEOPLE, STEP, BATCH = 10_000, 500, 100
START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("", "a second", "p50 ms", "p99 ms", "PostgreSQL alone, a second", "of it")

SCHEMA = """
CREATE TABLE floor_accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE floor_transactions (key uuid PRIMARY KEY, reason text NOT NULL);
CREATE TABLE floor_entries (id bigserial PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL);
INSERT INTO floor_accounts SELECT n, 0 FROM generate_series(0, {people}) n;
INSERT INTO floor_transactions SELECT gen_random_uuid(), 'stored' FROM generate_series(1, {stored});
INSERT INTO floor_entries (account, amount) SELECT 1 + n % {people}, 1 FROM generate_series(1, {stored}) n;
CREATE INDEX ON floor_entries (account, id);
VACUUM ANALYZE;
"""
ONE = """
\\set who random(1, {people})
BEGIN;
INSERT INTO floor_transactions VALUES (gen_random_uuid(), 'Helped at the meet-up');
INSERT INTO floor_entries (account, amount) VALUES (:who, 1), (0, -1);
UPDATE floor_accounts SET balance = balance + 1 WHERE id = :who;
UPDATE floor_accounts SET balance = balance - 1 WHERE id = 0;
END;
"""
MANY = """
\\set who random(1, {people})
BEGIN;
INSERT INTO floor_transactions SELECT gen_random_uuid(), 'Helped at the meet-up' FROM generate_series(1, {batch});
INSERT INTO floor_entries (account, amount)
  SELECT 1 + (:who + 7 * n) % {people}, 1 FROM generate_series(1, {batch}) n
  UNION ALL SELECT 0, -1 FROM generate_series(1, {batch});
UPDATE floor_accounts SET balance = balance + 1
  FROM (SELECT 1 + (:who + 7 * n) % {people} AS id FROM generate_series(1, {batch}) n ORDER BY 1) one
  WHERE floor_accounts.id = one.id;
UPDATE floor_accounts SET balance = balance - {batch} WHERE id = 0;
END;
"""


def person(number: int) -> str:
    return f"bench:{number % PEOPLE}"


async def store(settings: Settings, community: UUID, wanted: int) -> None:
    """So many adjustments through the one way into the ledger, so that what is measured finds them stored."""
    runtime = compose(settings)
    db = runtime.services["rewards"].db
    members = [identity_member_id(community, person(n)) for n in range(PEOPLE)]
    for start in range(0, wanted, STEP):
        async with db.begin() as tx:
            await ledger.record(tx, [_posting(tx.now, community, members, n) for n in range(start, start + STEP)])
    async with db.begin() as tx:
        # What grew to this size over months is analysed long ago; loaded in a minute it is not, and is read 200 times
        # slower until the database has looked.
        await tx.execute(text("ANALYZE"))
    for one in runtime.services.values():
        await one.db.close()


def _posting(now: datetime, community: UUID, members: list[UUID], number: int) -> Posting:
    at = START + timedelta(minutes=number % 400_000)
    key = digest("stored", number)
    return Posting(
        id=uuid7(now),
        community_id=community,
        idem_key=key,
        payload_hash=key,
        kind=ADJUSTMENT,
        member_id=members[number % PEOPLE],
        counter=ADJUST,
        unit="points",
        amount=1,
        effective_at=at,
        day=at.date(),
        scored=False,
        reason="stored before",
        actor="operator:bench",
    )


async def posted(settings: Settings) -> int:
    """How many transactions the installation has."""
    runtime = compose(settings)
    db = runtime.services["rewards"].db
    async with db.read() as tx:
        found = int(await tx.scalar(select(func.count()).select_from(db.table("transactions"))))
    for one in runtime.services.values():
        await one.db.close()
    return found


def post_script(batch: int, key: str) -> str:
    """Each request with a key of its own; `batch` 1 posts single entries."""
    tag = uuid4().hex[:8]
    return f"""
local tag, count = "{tag}-", 0
wrk.method = "POST"
wrk.path = "{"/v1/entries" if batch == 1 else "/v1/entries/batch"}"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
local function item(id, n)
  return '{{"identity":"bench:' .. (n * 7919 % {PEOPLE}) .. '","unit":"points","amount":1,'
    .. '"reason":"Helped at the meet-up","idempotency_key":"' .. id .. '"}}'
end
function request()
  count = count + 1
  if {batch} == 1 then return wrk.format(nil, nil, nil, item(tag .. count, count)) end
  local items = {{}}
  for place = 1, {batch} do items[place] = item(tag .. count .. "-" .. place, count * {batch} + place) end
  return wrk.format(nil, nil, nil, '{{"items":[' .. table.concat(items, ",") .. ']}}')
end
{wrk.DONE}"""


class Floor:
    """PostgreSQL alone: an installation's server, a database of the least tables, `pgbench`."""

    def __init__(self, server: PostgresServer, directory: Path, stored: int) -> None:
        self.server, self.directory = server, directory
        server.create_database("floor")
        self._run(
            "psql", "--quiet", "--set=ON_ERROR_STOP=1", "floor", stdin=SCHEMA.format(people=PEOPLE, stored=stored)
        )

    def rate(self, batch: int, connections: int, seconds: int) -> float:
        """Postings a second."""
        script = self.directory / f"floor-{batch}.sql"
        script.write_text((ONE if batch == 1 else MANY).format(people=PEOPLE, batch=batch))
        arguments = ("-n", "-M", "prepared", f"-c{connections}", "-j1", f"-T{seconds}", "-f", str(script), "floor")
        said = self._run("pgbench", *arguments)
        [line] = [line for line in said.splitlines() if line.startswith("tps = ")]
        return float(line.split()[2]) * batch

    def _run(self, program: str, *arguments: str, stdin: str | None = None) -> str:
        where = ("-h", "127.0.0.1", "-p", str(self.server.port), "-U", USER)
        command = [str(binaries() / program), *where, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-500:]}")
        return done.stdout


def run(size: Size) -> None:
    report.heading(f"Entries: {size.entries:,} stored")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        postgres = start_postgres(directory, stack)
        floor = Floor(postgres, directory, size.entries) if postgres is not None else None
        installations = {"SQLite": settings_of(directory / "sqlite")}
        if postgres is not None:
            installations["PostgreSQL"] = settings_of(directory / "split", postgres.create_database("entries"))
        for engine, settings in installations.items():
            made = uvloop.run(prepare(settings))
            uvloop.run(store(settings, made.community, size.entries))
            _measure(engine, made, floor, size, directory)


def _measure(engine: str, made: Made, floor: Floor | None, size: Size, directory: Path) -> None:
    arguments = ["--data-dir", str(made.settings.data_dir)]
    if made.settings.database_url:
        arguments += ["--database-url", made.settings.database_url]
    before = uvloop.run(posted(made.settings))
    answered = 0
    with running("bench.door", *arguments, directory=directory) as child:
        rows = []
        for batch in (1, BATCH):
            script = post_script(batch, made.api_key)
            answered += wrk.run(child.url, script, directory, connections=4, seconds=1).requests * batch
            for connections in size.connections:
                script = post_script(batch, made.api_key)
                done = wrk.run(child.url, script, directory, connections=connections, seconds=size.seconds)
                answered += done.requests * batch
                title = f"{'one' if batch == 1 else batch} a request, {connections} at a time"
                rows.append(_row(title, done, batch, floor, connections, size.seconds))
        report.say(f"{engine}, posting:\n")
        report.table(COLUMNS, rows)
        report.say(f"{engine}, reading, one at a time:\n")
        report.table(("", "a second", "p50 ms", "p99 ms"), list(_reads(child.url, made, size, directory)))
    kept = uvloop.run(posted(made.settings)) - before
    if kept < answered:
        raise wrk.WrongAnswers(f"{kept} kept, {answered} answered")


def _row(
    title: str, done: wrk.Load, batch: int, floor: Floor | None, connections: int, seconds: int
) -> tuple[str, ...]:
    beside = ("", "")
    if floor is not None:
        alone = floor.rate(batch, connections, seconds)
        beside = report.whole(alone), report.ratio(done.rate * batch / alone)
    return (title, report.whole(done.rate * batch), report.ms(done.p50), report.ms(done.p99), *beside)


def _reads(url: str, made: Made, size: Size, directory: Path) -> Iterator[tuple[str, ...]]:
    known = min(size.samples, size.entries, PEOPLE)
    members = [identity_member_id(made.community, person(n)) for n in range(known)]
    asked = {
        "an account": [f"/v1/accounts/{member}" for member in members],
        "an account's last 100": [f"/v1/accounts/{member}/entries?limit=100" for member in members],
        "the last 100 of a system account": ["/v1/entries?account=adjust&limit=100"],
    }
    for what, paths in asked.items():
        script = wrk.get_script(paths, made.api_key)
        done = wrk.run(url, script, directory, connections=1, seconds=size.seconds)
        yield what, report.whole(done.rate), report.ms(done.p50), report.ms(done.p99)
