"""`guildhall migrate`."""

from importlib import import_module
from pathlib import Path

import typer

import services
from kit.revisions import to_head
from services.commands.running import run
from services.commands.terminal import DataDir, settings_from
from services.declarations import DECLARATIONS, NAMES
from services.engines import open_service_database


def migrate(data_dir: DataDir = None) -> None:
    """Bring every service's schema to head; safe to run twice and beside running replicas."""
    settings = settings_from(data_dir=data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)

    async def work() -> None:
        for declared in DECLARATIONS:
            # A service's tables and the history of its schema: the rest of it has no part in this.
            tables = import_module(f"services.{declared.name}.tables")
            db = open_service_database(settings, declared.name, tables.metadata, frozenset(declared.publishes))
            await to_head(db, Path(services.__path__[0]) / declared.name / "migrations")
            await db.close()

    run(work())
    typer.echo(f"at head: {', '.join(NAMES)}")
