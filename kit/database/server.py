"""What the database says of itself: its version and its clock."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from kit.database.engine import Tx


@dataclass(frozen=True, slots=True)
class Server:
    """`major` is the first number of its version. `clock` is None for a library that has no clock of its own."""

    product: str
    version: str
    major: int
    clock: datetime | None


async def server_of(tx: Tx) -> Server:
    if tx.dialect == "postgresql":
        row = await tx.one(text("SELECT current_setting('server_version') AS version, clock_timestamp() AS clock"))
        version = str(row.version).split()[0]
        return Server("PostgreSQL", version, int(version.split(".")[0]), row.clock)
    version = str(await tx.scalar(text("SELECT sqlite_version()")))
    return Server("SQLite", version, int(version.split(".")[0]), None)
