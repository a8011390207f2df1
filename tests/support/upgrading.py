"""One migration by itself, on a database from which the test took away what it made."""

from importlib import import_module

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection

from kit.database import Tx


async def upgrade(tx: Tx, service: str, name: str) -> None:
    """What the migration `name` (its file without `.py`) does, in this transaction."""
    script = import_module(f"services.{service}.migrations.versions.{name}")

    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            script.upgrade()

    await tx.conn.run_sync(run)
