"""A plan's scratch file: the rewards service once more, on an empty SQLite file of its own, in which other rules score
what was. Everything that scoring does happens in it (counters, the ledger, what is undone), and nothing outside.

It is a cache: whoever finds none makes it anew from what is kept, and comes to the same. A process that is killed goes
on with the file that it left.
"""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text

from kit.clock import Clock
from kit.database import Database, Tx, insert_many, open_database, unwritable
from kit.service import ServiceRuntime
from services.rewards.domain import engine
from services.rewards.domain.ledger import ALLOW_NEGATIVE, MOST, REFUSE, SYSTEM_ACCOUNTS, Unit
from services.rewards.domain.rules import RuleSet
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.signals import used
from services.rewards.store import ledger as ledger_store
from services.rewards.store import plans as plans_store
from services.rewards.store import scratch as store
from services.rewards.tables import metadata
from services.rewards.tables.boards import member_labels
from services.rewards.tables.rules import counters
from services.rewards.tables.rules import rule_sets as rule_sets_table
from services.rewards.tables.scratch import EXTRAS
from services.rewards.tables.scratch import metadata as extras

FOLDER = "plans"
MADE = "made"


def version_of(plan_id: UUID) -> int:
    """The version that a plan's rules have in its scratch file, which no real one has: what is read once of a version
    is remembered by the process."""
    return -1 - plan_id.int % (2**31 - 1)


def kept_since(plan: Any) -> datetime:
    """What was decided on before this stays as it is: it is not kept, but for what was sent once more."""
    since: datetime = plan.kept_from or plan.created_at
    return since


def folder(one: ServiceRuntime, plan_id: UUID) -> Path:
    return one.settings.data_dir / FOLDER / str(plan_id)


async def open_scratch(one: ServiceRuntime, plan: Any) -> Database:
    """The plan's file; made where it is missing or not finished."""
    place = folder(one, plan.id)
    if not (place / MADE).exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    db = open_database("scratch", _rising(one.clock), metadata=metadata, publishes=one.db.publishes, directory=place)
    db.secret = one.db.secret
    if not (place / MADE).exists():
        try:
            await _make(one, db, plan)
        except BaseException:
            # A cancellation too: whoever opens the file next finds it unfinished, and makes it anew.
            await db.close()
            raise
        (place / MADE).touch()
    return db


def drop(one: ServiceRuntime, plan_id: UUID) -> None:
    shutil.rmtree(folder(one, plan_id), ignore_errors=True)


def with_files(one: ServiceRuntime) -> set[UUID]:
    """Plans that have a file here. What else stands beside them is somebody else's."""
    root = one.settings.data_dir / FOLDER
    names = [entry.name for entry in root.iterdir()] if root.exists() else []
    return {plan_id for name in names if (plan_id := _id_of(name)) is not None}


def _id_of(name: str) -> UUID | None:
    try:
        found = UUID(name)
    except ValueError:
        return None
    return found if str(found) == name else None


def no_room(error: BaseException) -> str | None:
    """Why there can be no file, in words; None for any other trouble. Unlike a database that is away this does not pass
    by itself: somebody has to make room."""
    reason = unwritable(error)
    return (
        None if reason is None else f"the plan's file under {FOLDER}/ of the data directory cannot be written: {reason}"
    )


def forget_announcements(tx: Tx) -> None:
    """What is done in a scratch file is told to nobody, and counted in no metric."""
    tx.outbox.clear()
    tx.last.clear()
    tx.after_commit.clear()


def _rising(clock: Clock) -> Clock:
    """Never the same twice: the time of a transaction tells what it made."""
    last: datetime | None = None

    def now() -> datetime:
        nonlocal last
        at = clock()
        last = at if last is None or at > last else last + timedelta(microseconds=1)
        return last

    return now


async def _make(one: ServiceRuntime, db: Database, plan: Any) -> None:
    async with db.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(extras.create_all)
        for statement in EXTRAS:
            await connection.execute(text(statement))
    async with one.db.read() as tx:
        units = await ledger_store.units_of(tx, plan.community_id)
        rules = rule_sets.parse(plan.draft)
        before = await plans_store.given_before(tx, plan.community_id, kept_since(plan), rules.seasons)
        asked = used(rules).ages
        labels = await plans_store.labels_before(tx, plan.community_id, plan.kept_from) if asked else []
    async with db.begin() as tx:
        row = {
            "community_id": plan.community_id,
            "version": version_of(plan.id),
            "body": plan.draft,
            "actor": "",
            "note": "",
            "created_at": tx.now,
            "epoch": plan.id,
            "in_force": True,
        }
        await insert_many(tx, rule_sets_table, [row])
        keys = [(plan.community_id, name, unit) for unit in units for name in SYSTEM_ACCOUNTS]
        await ledger_store.open_system_accounts(tx, keys)
        await ledger_store.add_units(tx, [(plan.community_id, _plain(unit)) for unit in units.values()])
        await insert_many(tx, counters, _lasting(plan.id, rules, before))
        await insert_many(tx, member_labels, [dict(row._mapping) for row in labels])
        await store.begin(tx)
        forget_announcements(tx)


def _plain(unit: Unit) -> Unit:
    """What is spent and owed is not known here: an inverse event takes back whatever the rules gave. A unit that may
    refuse that stays one: its grants do not give their places back."""
    if unit.clawback == REFUSE:
        return replace(unit, minimum=-MOST)
    return replace(unit, clawback=ALLOW_NEGATIVE)


def _lasting(epoch: UUID, rules: RuleSet, before: Iterable[Any]) -> list[dict[str, Any]]:
    """What was given for activities that are not kept counts for the limits that are never forgotten."""
    values = Counter[UUID]()
    for row in before:
        for id, of in engine.lasting(rules, epoch, row.rule_id, row.owner_id, row.unit, row.season):
            values[id] += row.grants if of == "grants" else int(row.amount)
    return [{"id": id, "value": value, "kept_until": None} for id, value in values.items()]
