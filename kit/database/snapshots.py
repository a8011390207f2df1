"""Naming what a statement sees, so that an answer can be kept for as long as another would be the same."""

from typing import Any

from sqlalchemy import ColumnElement, String, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

SEEN = "seen"
NOTHING_SEEN = ""


class snapshot(FunctionElement[str]):
    """What the statement sees, as a text: two statements of one `Database` that see the same are answered the same,
    unless they look at the clock. A commit changes it, of whatever table. Null where nothing can be said.

    Of PostgreSQL it is which transactions are over, and since when the server runs: one that was put back to an earlier
    day counts its transactions from there again. A standby does not name all that are under way, so it says nothing;
    nor does SQLite, where telling takes as long as reading a page.
    """

    name = "snapshot"
    inherit_cache = True

    def __init__(self) -> None:
        super().__init__()
        self.type = String()


@compiles(snapshot, "postgresql")
def _transactions(element: Any, compiler: Any, **kw: Any) -> str:
    # Asked for itself: such a function beside others would have the whole condition asked of every row.
    named = "pg_postmaster_start_time()::text || ' ' || pg_current_snapshot()::text"
    return f"CASE WHEN (SELECT pg_is_in_recovery()) THEN NULL ELSE {named} END"


@compiles(snapshot, "sqlite")
def _unsaid(element: Any, compiler: Any, **kw: Any) -> str:
    return "NULL"


def is_new() -> ColumnElement[bool]:
    """A condition of a `Question`: it sees another snapshot than its parameter `SEEN` names. Asked once, before a row
    of the SELECT that it belongs to is read."""
    return snapshot().is_distinct_from(bindparam(SEEN, type_=String()))
