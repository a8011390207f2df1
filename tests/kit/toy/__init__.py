"""The smallest whole service: it counts how often a key was used, and holds back where a test says so."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import Column, Integer, Table, Uuid, select

from kit.clock import Clock, system_clock
from kit.contracts import Envelope
from kit.contracts.platform import KeyUsed
from kit.database import Database, Tx, add_up, metadata_for, open_database
from kit.errors import BadMessage
from kit.log import Log
from kit.runtime import Runtime
from kit.service import Service
from kit.settings import load_settings

METADATA = metadata_for("toy")
USES = Table("uses", METADATA, Column("key_id", Uuid, primary_key=True), Column("times", Integer, nullable=False))

POISON = UUID(int=13)


class Toy:
    """Its handlers belong to one test: `gate`, while it is closed, keeps a batch in hand; `begun` says one is."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.service = Service(
            name="toy",
            routers=(),
            subscriptions={KeyUsed: self.count},
            publishes=(),
            metadata=METADATA,
            migrations=Path(__file__).parent / "migrations",
            prefixes=("toys",),
        )

    async def count(self, tx: Tx, batch: list[Envelope[KeyUsed]]) -> None:
        keys = [e.event.key_id for e in batch]
        self.begun.set()
        await self.gate.wait()
        if POISON in keys:
            raise BadMessage("poison", "this key is poison")
        rows = [{"key_id": key, "times": keys.count(key)} for key in set(keys)]
        await add_up(tx, USES, rows, key=["key_id"], add=["times"])

    def runtime(self, log: Log, *, url: str = "", clock: Clock = system_clock, **settings: object) -> Runtime:
        """On PostgreSQL at `url`, or on a file in `data_dir`."""
        chosen = load_settings({}, secret_key="s" * 32, **settings)

        def opened(service: Service, publishes: frozenset[type]) -> Database:
            return open_database(
                service.name,
                clock,
                metadata=service.metadata,
                publishes=publishes,
                url=url,
                directory=chosen.data_dir,
                pool=10,
            )

        return Runtime([self.service], everyone=[self.service], settings=chosen, clock=clock, log=log, open_db=opened)


async def uses(db: Database) -> dict[UUID, int]:
    async with db.read() as tx:
        return {row.key_id: row.times for row in await tx.all(select(USES))}


async def once_each(db: Database, keys: Sequence[UUID]) -> bool:
    return await uses(db) == dict.fromkeys(keys, 1)
