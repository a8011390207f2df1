"""Processes that die between two statements, and a second one on the same database."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from sqlalchemy import Engine, event

from kit.database import Database, open_database
from services.rewards.service import SERVICE
from tests.support.clock import ManualClock


class Killed(BaseException):
    """The process died here; its transaction is gone."""


@contextmanager
def killing(db: Database | None, at: int) -> Iterator[None]:
    """Nothing from the statement of this number on gets through; without a database, to none of them all."""
    engine, numbers = Engine if db is None else db.engine.sync_engine, count(1)

    def die(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")) and next(numbers) >= at:
            raise Killed

    event.listen(engine, "before_cursor_execute", die)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", die)


def replica(db: Database, clock: ManualClock) -> Database:
    """A second process's database object for the same database."""
    where: dict[str, Any] = (
        {"directory": db.path.parent} if db.path else {"url": db.engine.url.render_as_string(hide_password=False)}
    )
    return open_database(db.service, clock, metadata=SERVICE.metadata, publishes=tuple(db.publishes), pool=5, **where)


async def died(work: Coroutine[Any, Any, Any]) -> bool:
    try:
        await work
    except Killed:
        return True
    return False
