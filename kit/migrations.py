"""Schema changes: Alembic, one history per service, the same scripts on SQLite and PostgreSQL.

On PostgreSQL each service has its schema, found through `search_path`; migrating takes an advisory lock, so that
replicas that start together do it once, and gives up on a lock after a while instead of stopping the service.
"""

from pathlib import Path
from typing import Any

from alembic import command, context, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData, text

from kit.database import Database
from kit.database.types import NAMING, JsonText
from kit.revisions import MOVING, SchemaBeingFilled, current
from kit.tables import FIRST, add_kit_tables


def _config(scripts: Path, connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def run(metadata: MetaData) -> None:
    """The body of every service's `env.py`: apply what Alembic was told to, on the connection it was given."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def create_kit_tables() -> None:
    """Create the kit's tables; the first line of each service's first migration.

    Once a version was released these tables change by further functions of this module, never by editing this one.
    """
    metadata = MetaData(naming_convention=NAMING)
    add_kit_tables(metadata, FIRST)
    metadata.create_all(op.get_bind(), checkfirst=False)


def add_segments() -> None:
    """Copies of members tell the segments they are in: none, of those that are known already."""
    op.add_column("known_members", Column("segments", JsonText(), nullable=False, server_default=text("'[]'")))


async def migrate(db: Database, scripts: Path) -> None:
    """Bring the service's schema to head. Safe to run twice and by several processes at once. SchemaBeingFilled when a
    move to it has not ended."""

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:n, 0))"), {"n": f"migrate:{db.service}"}
            )
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{db.service}"'))
        if current(connection) == MOVING:
            raise SchemaBeingFilled(
                f"{db.service}: a move to here has not ended; run the same `guildhall migrate-db` again"
            )
        command.upgrade(_config(scripts, connection), "head")

    async with db.engine.begin() as connection:
        await connection.run_sync(upgrade)


async def differences(db: Database) -> list[Any]:
    """What the migrated schema lacks against the declared tables, and the other way round; [] when they agree."""

    def compare(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), db.metadata))

    async with db.read() as tx:
        return await tx.conn.run_sync(compare)
