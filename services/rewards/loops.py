"""What the rewards service does by itself: look whether the books are at zero, seal them, add them up by day, look
through all of them at night, decide check-ins that waited for too long, expire points and release what was held for
too long, erase members, finalise boards' periods, clear boards that are gone, end badges that expired and grant those
for programmes, count for badges what was before them, forget, work out plans and carry them out."""

import asyncio
import time
from datetime import timedelta

from kit.clock import uuid7
from kit.metrics import BADGES, BUDGETS_REACHED, ERASURE_OLDEST_SECONDS, LEDGER_FAULTS, LEDGER_SEALED, PLANS_OPEN
from kit.runtime import pause
from kit.service import Loop, ServiceRuntime
from services.rewards.audits import AUDITS, WHOLE
from services.rewards.domain.badges import ENDINGS
from services.rewards.domain.budgets import WARNINGS
from services.rewards.domain.recomputing import OPEN
from services.rewards.handlers import granting, passing
from services.rewards.handlers.backfills import running as backfills
from services.rewards.handlers.counting import show_books
from services.rewards.handlers.decaying import renew_some
from services.rewards.handlers.erasing.running import erase_some
from services.rewards.handlers.expiring import expire_some
from services.rewards.handlers.finalising import CaughtUp, finalize_some
from services.rewards.handlers.holds import release_some
from services.rewards.handlers.leagues import play_some
from services.rewards.handlers.night import audit, begin, until_night
from services.rewards.handlers.overdue import decide_due
from services.rewards.handlers.plans import running as plans
from services.rewards.handlers.purging import purge
from services.rewards.handlers.sealing import IN_ORDER, LATE, look_again, seal_some
from services.rewards.handlers.unit_days import add_up_some
from services.rewards.store import backfills as backfills_store
from services.rewards.store import entries as entries_store
from services.rewards.store import erasures as erasures_store
from services.rewards.store import filling
from services.rewards.store import plans as plans_store

SUM_ROUNDS = 12
SUM_SHARE = 20
PURGE_SECONDS = 30.0
BADGE_SECONDS = 30.0
PROGRAMME_SECONDS = 60.0
FORGET_SECONDS = 6 * 3600.0
SETTLE_IN_SECONDS = 600.0
SEAL_SECONDS = 2.0
FINALIZE_SECONDS = 15.0
SEAL_SHARE = 9
DAYS_SECONDS = 5.0
EXPIRE_SECONDS = 20.0
ERASE_SECONDS = 5.0
PLAN_SECONDS = 1.0
PLAN_SHARE = 3


async def watch_sum(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Keep the gauges about the books fresh: a twelfth as often as others, and never more than a twentieth of the time,
    because it reads every account."""
    for percent in WARNINGS:
        BUDGETS_REACHED.labels(str(percent))
    while not stopping.is_set():
        began = time.monotonic()
        async with one.db.read() as tx:
            books = await entries_store.books(tx)
        show_books(books)
        took = time.monotonic() - began
        await pause(stopping, max(SUM_ROUNDS * one.settings.metrics_seconds, SUM_SHARE * took))


async def clear_boards(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Remove the rows of deleted boards, a few thousand a transaction."""
    while not stopping.is_set():
        async with one.db.begin() as tx:
            removed = await filling.purge(tx)
        if removed == 0:
            await pause(stopping, PURGE_SECONDS)


async def forget(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Counters, moments and decisions whose time is over; not at the start, when there is enough to catch up with."""
    await pause(stopping, SETTLE_IN_SECONDS)
    while not stopping.is_set():
        await purge(
            one.db,
            counters=timedelta(days=one.settings.counter_days),
            decisions=timedelta(days=one.settings.decision_days),
            activities=timedelta(days=one.settings.activity_days or one.settings.decision_days),
            stopping=stopping,
        )
        await pause(stopping, FORGET_SECONDS)


async def expire_badges(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """End badges whose time is over. Of several processes each takes what no other has ended meanwhile; who reads a
    badge before that reads that it is over."""
    for outcome in ("granted", *ENDINGS):
        BADGES.labels(outcome)
    while not stopping.is_set():
        async with one.db.begin() as tx:
            ended = await granting.expire(tx)
        if ended == 0:
            await pause(stopping, EXPIRE_SECONDS)


async def award_programmes(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Badges for programmes and boards' periods that are over, some hundreds of members at a time."""
    while not stopping.is_set():
        async with one.db.begin() as tx:
            found = await passing.look(tx)
        if not found:
            await pause(stopping, PROGRAMME_SECONDS)


async def backfill_badges(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Take backfills on, in a quarter of the time. Several processes may: each part is counted once."""
    while not stopping.is_set():
        async with one.db.read() as tx:
            rows = await backfills_store.unfinished(tx)
        worked = False
        for row in rows:
            began = time.monotonic()
            worked = await backfills.step(one.db, row.community_id, row.badge_id) or worked
            await pause(stopping, PLAN_SHARE * (time.monotonic() - began))
        if not worked:
            await pause(stopping, PLAN_SECONDS)


async def seal(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Seal what was posted, in a tenth of the time: in a rush it falls behind. Of several processes each takes the
    communities that no other is at."""
    for when in (IN_ORDER, LATE):
        LEDGER_SEALED.labels(when)
    while not stopping.is_set():
        began = time.monotonic()
        found = await seal_some(one.db) + await look_again(one.db)
        took = time.monotonic() - began
        await pause(stopping, SEAL_SHARE * took if found else SEAL_SECONDS)


async def add_up_days(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Add up what was sealed, day by day, in a tenth of the time. Of several processes each takes the communities that
    no other is at."""
    while not stopping.is_set():
        began = time.monotonic()
        found = await add_up_some(one.db)
        took = time.monotonic() - began
        await pause(stopping, SEAL_SHARE * took if found else DAYS_SECONDS)


async def expire(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Expire lots whose day is over and release holds whose time is over, some at a time and in a tenth of the time.
    Several processes may: each lot and each hold goes once."""
    while not stopping.is_set():
        began = time.monotonic()
        found = await expire_some(one.db) + await release_some(one.db)
        took = time.monotonic() - began
        await pause(stopping, SEAL_SHARE * took if found else EXPIRE_SECONDS)


async def decide_checkins(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Check-ins that waited for too long, some at a time. Several processes may: each is decided once."""
    while not stopping.is_set():
        if await decide_due(one.db) == 0:
            await pause(stopping, EXPIRE_SECONDS)


async def erase(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Erase who is to be, in a tenth of the time. Of several processes each does the steps that no other has done."""
    while not stopping.is_set():
        began = time.monotonic()
        done = await erase_some(one.db, stopping)
        async with one.db.read() as tx:
            since = await erasures_store.oldest(tx)
        ERASURE_OLDEST_SECONDS.set((one.clock() - since).total_seconds() if since is not None else 0)
        await pause(stopping, max(ERASE_SECONDS, SEAL_SHARE * (time.monotonic() - began)) if done else ERASE_SECONDS)


async def audit_at_night(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Once a night, in one process of all, everything that always holds is looked through."""
    for one_of_them in AUDITS:
        LEDGER_FAULTS.labels(one_of_them.name)
    while not stopping.is_set():
        await pause(stopping, until_night(one.clock()).total_seconds())
        if stopping.is_set():
            return
        if await begin(one.db):
            await audit(one.db, WHOLE, stopping)


async def finalize_boards(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Finalise what is over, then take leagues on and decaying boards to the next day; several processes may, each
    does what no other has done."""
    caught_up = CaughtUp(one.log)
    while not stopping.is_set():
        await finalize_some(one.db, await caught_up.through(one.clock()), stopping)
        await play_some(one.db, stopping)
        await renew_some(one.db, stopping)
        await pause(stopping, FINALIZE_SECONDS)


async def follow_plans(one: ServiceRuntime, stopping: asyncio.Event) -> None:
    """Take simulations and recomputes on, in a quarter of the time. Of several processes each has those that no other
    is at; one that is killed is followed within a minute."""
    me = uuid7(one.clock())
    for state in OPEN:
        PLANS_OPEN.labels(state)
    while not stopping.is_set():
        await plans.tidy(one)
        async with one.db.read() as tx:
            rows = await plans_store.open_ones(tx)
        for state in OPEN:
            PLANS_OPEN.labels(state).set(sum(row.state == state for row in rows))
        worked = False
        for row in rows:
            began = time.monotonic()
            worked = await plans.step(one, row.id, me) or worked
            await pause(stopping, PLAN_SHARE * (time.monotonic() - began))
        if not worked:
            await pause(stopping, PLAN_SECONDS)


LOOPS = (
    Loop("plans", follow_plans),
    Loop("ledger-sum", watch_sum),
    Loop("sealing", seal),
    Loop("unit-days", add_up_days),
    Loop("expiring", expire),
    Loop("waiting-checkins", decide_checkins),
    Loop("erasing", erase),
    Loop("nightly-audit", audit_at_night),
    Loop("finalised-boards", finalize_boards),
    Loop("cleared-boards", clear_boards),
    Loop("badges", expire_badges),
    Loop("programme-badges", award_programmes),
    Loop("badge-backfills", backfill_badges),
    Loop("forgetting", forget),
)
