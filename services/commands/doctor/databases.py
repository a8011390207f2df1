"""One service's database: within reach, at head, and what lies about in it that should not."""

from functools import partial

from sqlalchemy.engine import make_url

from kit import outbox
from kit.database import Database, server_of
from kit.dead_letters import count_dead
from kit.revisions import MOVING, revisions
from kit.service import Audit, Service
from kit.settings import Settings
from services.commands.doctor.clocks import compared
from services.commands.doctor.files import ages
from services.commands.doctor.findings import Finding, failed, ok, warning
from services.commands.doctor.running import Chain, Check

OLDEST_POSTGRES = 14
OUTBOX_WARNING, OUTBOX_FAILED = 60.0, 15 * 60.0
BOOKS_FACTOR = 30
"""How much longer than another check one may take that reads a whole service."""


def checks(service: Service, db: Database, settings: Settings, *, books: bool, clock: bool, seconds: float) -> Chain:
    """In this order; `clock` compares clocks too, `books` looks through everything."""
    name = service.name
    chain = [
        Check(f"database:{name}", partial(_reached, db, settings, clock=clock), seconds, needed=True),
        Check(f"schema:{name}", partial(_schema, service, db), seconds, needed=True),
        Check(f"outbox:{name}", partial(_outbox, db), seconds),
        Check(f"dead-letters:{name}", partial(_dead_letters, db), seconds),
    ]
    audits = service.audits if books else ()
    return chain + [
        Check(f"books:{name}:{audit.name}", partial(_audit, db, audit), seconds * BOOKS_FACTOR) for audit in audits
    ]


async def _reached(db: Database, settings: Settings, *, clock: bool) -> list[Finding]:
    name = f"database:{db.service}"
    try:
        before = db.clock()
        async with db.read() as tx:
            before = db.clock()
            server = await server_of(tx)
            after = db.clock()
    except Exception as error:
        # Whatever it is: a wrong password and a missing database are errors of the driver's own.
        return [failed(name, _cause(error), _how_to_reach(settings))]
    found = ok(name, f"{server.product} {server.version}")
    if server.product == "PostgreSQL" and server.major < OLDEST_POSTGRES:
        do = f"move to PostgreSQL {OLDEST_POSTGRES} or newer: older ones get no corrections any more"
        found = warning(name, f"{server.product} {server.version}", do)
    if not clock or server.clock is None:
        return [found]
    middle = before + (after - before) / 2
    return [found, compared("the database's clock", server.clock - middle, (after - before) / 2)]


def _cause(error: BaseException) -> str:
    """What the driver said: our own sentence for it is meant for clients."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


def _how_to_reach(settings: Settings) -> str:
    if settings.embedded:
        return f"run as the user that owns {settings.data_dir}; a file that is damaged comes from the backup"
    where = make_url(settings.database_url).render_as_string(hide_password=True)
    return f"is the server running, and GUILDHALL_DATABASE_URL right ({where})?"


async def _schema(service: Service, db: Database) -> Finding:
    name = f"schema:{service.name}"
    present, head = await revisions(db, service.migrations)
    if present == head:
        return ok(name, f"at head ({head})")
    if present == MOVING:
        return failed(name, "a move to here has not ended", "run the same `guildhall migrate-db` again")
    do = "run `guildhall migrate`; where it does not know the revision, this release is older than the schema"
    return failed(name, f"at {present or 'no revision'}, this release needs {head}", do)


async def _outbox(db: Database) -> Finding:
    name = f"outbox:{db.service}"
    async with db.read() as tx:
        rows, age = await outbox.waiting(tx)
    if age <= OUTBOX_WARNING:
        return ok(name, f"{rows} rows wait" if rows else "empty")
    found = f"{rows} rows wait for the log, the oldest since {ages(age)}"
    do = "they leave once the service runs and reaches the log; if it does, look for `relay.` in its log lines"
    return (failed if age > OUTBOX_FAILED else warning)(name, found, do)


async def _dead_letters(db: Database) -> Finding:
    name = f"dead-letters:{db.service}"
    async with db.read() as tx:
        dead = await count_dead(tx)
    if not dead:
        return ok(name, "none")
    do = f"`guildhall dead-letters list --service {db.service} --key …`, then retry or discard them"
    return warning(name, f"{dead} events were given up on", do)


async def _audit(db: Database, audit: Audit) -> Finding:
    name = f"books:{db.service}:{audit.name}"
    async with db.read() as tx:
        wrong = await audit.look(tx)
    if not wrong:
        return ok(name, "everything agrees")
    told = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    do = "stop the service, keep a copy, and restore a backup of one moment; tell us if no restore came before it"
    return failed(name, told, do)
