"""One database per service: SQLite file or PostgreSQL schema, behind the same transaction and the same functions.

The few statements that differ between the two live here (`bulk`, `lookups`) and nowhere else; stores never ask which
it is.
"""

from kit.database.bulk import (
    add_up,
    expect_many_rows,
    insert_many,
    insert_new,
    lock_alone,
    lock_shared,
    try_lock,
    upsert,
)
from kit.database.engine import (
    Database,
    DatabaseUnavailable,
    Leadership,
    Tx,
    is_infrastructure,
    open_database,
    unwritable,
)
from kit.database.lookups import delete_among, given, lock_rows, select_among, update_among
from kit.database.questions import Question, gathered, listed
from kit.database.server import Server, server_of
from kit.database.snapshots import NOTHING_SEEN, is_new, snapshot
from kit.database.types import PLACES_ON_THE_LOG, JsonText, UtcDateTime, metadata_for

__all__ = [
    "NOTHING_SEEN",
    "PLACES_ON_THE_LOG",
    "Database",
    "DatabaseUnavailable",
    "JsonText",
    "Leadership",
    "Question",
    "Server",
    "Tx",
    "UtcDateTime",
    "add_up",
    "delete_among",
    "expect_many_rows",
    "gathered",
    "given",
    "insert_many",
    "insert_new",
    "is_infrastructure",
    "is_new",
    "listed",
    "lock_alone",
    "lock_rows",
    "lock_shared",
    "metadata_for",
    "open_database",
    "select_among",
    "server_of",
    "snapshot",
    "try_lock",
    "unwritable",
    "update_among",
    "upsert",
]
