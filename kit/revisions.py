"""At which revision a schema is, and which one this code was written for: read without Alembic, which every start would
have to import, with each migration there ever was, to be told that there is nothing to do."""

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from kit.database import Database, Tx

MOVING = "moving"
"""The revision of a schema that `guildhall migrate-db` is filling: nothing starts on it and nothing migrates it."""

_LINK = re.compile(r'^revision = "(\w+)"\ndown_revision = (?:None|"(\w+)")$', re.MULTILINE)


class SchemaBeingFilled(Exception):
    """The schema is the target of a move that has not ended; says what to run."""


def head(scripts: Path) -> str | None:
    """The last revision of a service's history; None when there is none. ValueError when it does not stand in one
    line."""
    links = [_LINK.findall(file.read_text()) for file in sorted((scripts / "versions").glob("*.py"))]
    pairs = [pair for found in links for pair in found]
    ends = {revision for revision, _ in pairs} - {before for _, before in pairs}
    if len(pairs) != len(links) or len(ends) > 1:
        raise ValueError(f"{scripts}: every migration has one revision and one before it, and only one is the last")
    return ends.pop() if ends else None


def current(connection: Connection) -> str | None:
    """The revision a service's schema is at; None: there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def revisions(db: Database, scripts: Path) -> tuple[str | None, str | None]:
    """The revision the schema is at (None: there is none), and the one this code was written for."""
    async with db.read() as tx:
        return await tx.conn.run_sync(current), head(scripts)


async def at_head(db: Database, scripts: Path) -> bool:
    """Whether the schema is exactly the one this code was written for."""
    present, wanted = await revisions(db, scripts)
    return present == wanted


async def to_head(db: Database, scripts: Path) -> None:
    """Bring the service's schema to head, as `kit.migrations.migrate` does and with its promises."""
    if not await at_head(db, scripts):
        from kit.migrations import migrate

        await migrate(db, scripts)


async def set_revision(tx: Tx, service: str, revision: str) -> None:
    """Say that a service's schema on PostgreSQL is at this revision, in the caller's transaction; it must have been
    migrated."""
    await tx.execute(text(f'UPDATE "{service}".alembic_version SET version_num = :revision'), {"revision": revision})
