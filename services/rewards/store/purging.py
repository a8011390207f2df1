"""What is over among counters, moments and decisions, and the days of which decisions are gone."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from kit.database import Tx, insert_new, select_among
from services.rewards.tables.checkins import checkin_attempts, checkin_confirmations
from services.rewards.tables.kept import kept_activities
from services.rewards.tables.rules import counters, decisions, forgotten_days, moments
from services.rewards.tables.signals import signals

CountedDay = tuple[UUID, date]
"""(community, day in UTC)."""

COUNTERS, MOMENTS, SIGNALS, DECISIONS, KEPT = counters, moments, signals, decisions, kept_activities
ATTEMPTS, CONFIRMATIONS = checkin_attempts, checkin_confirmations


def unasked(table: Any, before: datetime) -> ColumnElement[bool]:
    """Counters, moments or rows of signals that nobody asks for since before then; none that is kept for ever."""
    over: ColumnElement[bool] = table.c.kept_until < before
    return over


def decided_before(before: datetime) -> ColumnElement[bool]:
    return decisions.c.decided_at < before


def kept_before(before: datetime) -> ColumnElement[bool]:
    return kept_activities.c.kept_at < before


def tried_before(table: Any, before: datetime) -> ColumnElement[bool]:
    """Attempts at check-ins, or confirmations of them; those that wait are younger."""
    over: ColumnElement[bool] = table.c.created_at < before
    return over


async def forget(tx: Tx, *, days: Iterable[CountedDay]) -> None:
    rows = [{"community_id": community_id, "day": day} for community_id, day in days]
    await insert_new(tx, forgotten_days, rows, key=["community_id", "day"])


async def forgotten(tx: Tx, *, days: Iterable[CountedDay]) -> set[CountedDay]:
    """Those of the days of which some decision is gone."""
    t = forgotten_days
    rows = await select_among(tx, t, (t.c.community_id, t.c.day), list(days))
    return {(row.community_id, row.day) for row in rows}
