"""`python -m tests.rewards.plans.worker TARGET DATA_DIR PLAN STEP`: a process that takes a plan on until it is over.

TARGET is a database URL, or the directory of a SQLite file. Its parent kills it.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID, uuid4

from kit.clock import system_clock
from kit.contracts.platform import KeyUsed
from kit.database import open_database
from kit.log.embedded import EmbeddedLog
from kit.service import ServiceRuntime
from kit.settings import load_settings
from services.rewards.handlers.plans import running
from services.rewards.service import SERVICE


async def main(target: str, directory: Path, plan_id: UUID, step: int) -> None:
    running.STEP = step
    where = {"url": target} if "://" in target else {"directory": Path(target)}
    publishes = (*SERVICE.publishes, KeyUsed)
    db = open_database("rewards", system_clock, metadata=SERVICE.metadata, publishes=publishes, **where)  # type: ignore[arg-type]  # a path or an address
    settings = load_settings({}, data_dir=directory, secret_key="s" * 40)
    log = EmbeddedLog(directory / "log.sqlite", clock=system_clock)
    one, me = ServiceRuntime(SERVICE, db, log, system_clock, settings), uuid4()
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    while await running.step(one, plan_id, me):
        pass
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), UUID(sys.argv[3]), int(sys.argv[4])))
