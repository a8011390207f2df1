"""SQL of what is a member's beside the ledger's entries: what goes, what stays under a pseudonym, what stays as it is.

`DELETED`, `RENAMED` and `APART` together are every column that may name a member; a test walks all tables for others.
"""

from collections.abc import Iterable, Mapping, Sequence
from os import urandom
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Row, Table, Uuid, case, delete, func, literal, or_, select, update

from kit.database import Tx, delete_among, select_among, update_among, upsert
from services.rewards.store import adjustments as adjustments_store
from services.rewards.store import holds as holds_store
from services.rewards.store import reviews as reviews_store
from services.rewards.tables.backfills import badge_backfills
from services.rewards.tables.badges import badge_grants, badge_marks, badge_runs, badge_standings, poster_codes
from services.rewards.tables.boards import board_absences, board_leaders, board_scores, member_labels
from services.rewards.tables.checkins import (
    checkin_attempts,
    checkin_calendars,
    checkin_confirmations,
    checkin_facts,
    checkin_streaks,
)
from services.rewards.tables.erasures import closed_owners, erasures
from services.rewards.tables.leagues import league_periods, league_seats, league_tiers
from services.rewards.tables.ledger import accounts, adjustments, entries
from services.rewards.tables.levels import level_announcements, openings
from services.rewards.tables.lots import holds, lots
from services.rewards.tables.plans import plans, recomputed
from services.rewards.tables.reviews import reviews
from services.rewards.tables.rules import decisions, rule_sets
from services.rewards.tables.signals import signals
from services.rewards.tables.undoing import undoable_grants, waiting_grants


class Rename(NamedTuple):
    """`texts` may have the id in them, as who did it among other things; `keys` are computed from it."""

    table: Table
    ids: tuple[Column[Any], ...]
    texts: tuple[Column[Any], ...] = ()
    keys: tuple[Column[Any], ...] = ()


DELETED: Sequence[Column[Any]] = (
    badge_marks.c.member_id,
    badge_standings.c.member_id,
    board_leaders.c.member_id,
    member_labels.c.member_id,
    checkin_attempts.c.member_id,
    checkin_calendars.c.owner_id,
    checkin_confirmations.c.member_id,
    checkin_facts.c.member_id,
    checkin_streaks.c.member_id,
    league_seats.c.member_id,
    league_tiers.c.member_id,
    level_announcements.c.member_id,
    openings.c.member_id,
    poster_codes.c.member_id,
    waiting_grants.c.member_id,
)
"""What is worth nothing without the person."""

RENAMED: Sequence[Rename] = (
    Rename(decisions, (decisions.c.member_id,), (decisions.c.receiver,)),
    Rename(reviews, (reviews.c.member_id, reviews.c.actor_id), (reviews.c.decided_by,)),
    Rename(waiting_grants, (waiting_grants.c.actor_id,)),
    Rename(recomputed, (recomputed.c.member_id,)),
    Rename(holds, (holds.c.member_id,), (holds.c.actor, holds.c.ended_by)),
    Rename(
        adjustments,
        (adjustments.c.member_id,),
        (adjustments.c.actor, adjustments.c.decided_by),
        (adjustments.c.idem_key, adjustments.c.payload_hash),
    ),
    Rename(badge_grants, (badge_grants.c.member_id,), (badge_grants.c.actor,)),
    Rename(badge_marks, (), (badge_marks.c.value,)),
)

APART: Sequence[Column[Any]] = (
    entries.c.owner_id,
    accounts.c.owner_id,
    lots.c.owner_id,
    board_scores.c.member_id,
    board_absences.c.member_id,
    badge_runs.c.after_member,
    badge_backfills.c.after_member,
    league_periods.c.after_member,
    closed_owners.c.member_id,
    erasures.c.member_id,
)
"""Those that a step of their own is for, and tombstones."""


def mentions(one: Rename, community_id: UUID, member_id: UUID) -> ColumnElement[bool]:
    """Rows that name the member. Texts alone only of marks: elsewhere they are in rows of the member's own."""
    names: list[ColumnElement[bool]] = [column == member_id for column in one.ids]
    if not names:
        names = [column == str(member_id) for column in one.texts]
    here: ColumnElement[bool] = one.table.c.community_id == community_id
    return here & or_(*names)


async def rename(tx: Tx, one: Rename, keys: Sequence[tuple[Any, ...]], member_id: UUID, pseudonym: UUID) -> None:
    by = list(one.table.primary_key.columns)
    values: dict[str, Any] = {
        column.name: case((column == member_id, literal(pseudonym, Uuid())), else_=column) for column in one.ids
    }
    for column in one.texts:
        text = func.replace(column, str(member_id), str(pseudonym))
        values[column.name] = func.replace(text, member_id.hex, pseudonym.hex)
    if not one.keys:
        await update_among(tx, one.table, by, keys, values)
        return
    for key in keys:
        await update_among(tx, one.table, by, [key], {**values, **{c.name: urandom(32) for c in one.keys}})


# Closing


async def plans_in(tx: Tx, community_id: UUID, states: Iterable[str]) -> list[Row[Any]]:
    where = plans.c.community_id == community_id, plans.c.state.in_(list(states))
    return await tx.all(select(plans.c.id, plans.c.state).where(*where))


async def open_holds(tx: Tx, community_id: UUID, member_id: UUID) -> list[UUID]:
    where = holds.c.community_id == community_id, holds.c.member_id == member_id, holds.c.state == holds_store.OPEN
    return [row.id for row in await tx.all(select(holds.c.id).where(*where).order_by(holds.c.id))]


async def is_open(tx: Tx, community_id: UUID, hold_id: UUID) -> bool:
    row = await holds_store.one(tx, community_id, hold_id, lock=True)
    return row is not None and row.state == holds_store.OPEN


async def refuse_reviews(tx: Tx, community_id: UUID, member_id: UUID, *, actor: str) -> None:
    r = reviews.c
    pending = r.community_id == community_id, r.member_id == member_id, r.state == reviews_store.PENDING
    ids = [row.id for row in await tx.all(select(r.id).where(*pending).order_by(r.id))]
    held = [row.id for row in await reviews_store.lock_pending(tx, ids)]
    over = {"state": reviews_store.REFUSED, "decided_by": actor, "decided_at": tx.now}
    await update_among(tx, reviews, (r.id,), [(id,) for id in held], over)
    await remove_undoable(tx, held)


async def refuse_adjustments(tx: Tx, community_id: UUID, member_id: UUID, *, actor: str) -> None:
    a = adjustments.c
    waiting = a.community_id == community_id, a.member_id == member_id, a.state == adjustments_store.WAITING
    over = {"state": adjustments_store.REFUSED, "decided_by": actor, "decided_at": tx.now}
    await tx.execute(update(adjustments).where(*waiting).values(**over))


async def accounts_of(tx: Tx, community_id: UUID, member_id: UUID) -> list[Row[Any]]:
    mine = accounts.c.community_id == community_id, accounts.c.owner_id == member_id, accounts.c.system == 0
    return await tx.all(select(accounts).where(*mine).order_by(accounts.c.unit))


async def remove_lots(tx: Tx, community_id: UUID, member_id: UUID) -> None:
    await tx.execute(delete(lots).where(lots.c.community_id == community_id, lots.c.owner_id == member_id))


async def remove_undoable(tx: Tx, transaction_ids: Sequence[UUID]) -> None:
    await delete_among(tx, undoable_grants, (undoable_grants.c.transaction_id,), [(id,) for id in transaction_ids])


# Boards


async def score_of(tx: Tx, slot: UUID, member_id: UUID) -> Row[Any] | None:
    where = board_scores.c.slot == slot, board_scores.c.member_id == member_id
    return await tx.first(select(board_scores).where(*where))


async def give_score(tx: Tx, row: Row[Any], pseudonym: UUID) -> None:
    """One that the pseudonym has there already becomes both."""
    there = await score_of(tx, row.slot, pseudonym)
    values = {**row._mapping, "member_id": pseudonym}
    if there is not None:
        values |= {"negated": row.negated + there.negated, "reached_at": max(row.reached_at, there.reached_at)}
    key, columns = ("slot", "member_id"), ("negated", "reached_at", "bucket", "hidden")
    await upsert(tx, board_scores, [values], key=key, update=columns)
    await delete_among(tx, board_scores, (board_scores.c.slot, board_scores.c.member_id), [(row.slot, row.member_id)])


async def give_seat(tx: Tx, slot: UUID, member_id: UUID, pseudonym: UUID) -> None:
    """In a division of a period that is over; in one that goes on the seat is left empty (`DELETED`)."""
    seat, period = league_seats.c, league_periods.c
    over = select(period.slot).where(period.slot == slot, period.settled_at.is_not(None)).exists()
    taken = select(seat.slot).where(seat.slot == slot, seat.member_id == pseudonym).exists()
    if await tx.scalar(select(over & ~taken)):
        mine = seat.slot == slot, seat.member_id == member_id
        await tx.execute(update(league_seats).where(*mine).values(member_id=pseudonym))


async def remove_absences(tx: Tx, community_id: UUID, member_id: UUID, *, but: str) -> None:
    t = board_absences.c
    mine = t.community_id == community_id, t.member_id == member_id
    await tx.execute(delete(board_absences).where(*mine, t.by != but))


async def pass_over(tx: Tx, community_id: UUID, member_id: UUID) -> None:
    """What goes from member to member and stands at this one stands right before, where nobody is."""
    t, before = badge_runs.c, UUID(int=max(member_id.int - 1, 0))
    here = t.community_id == community_id, t.after_member == member_id
    await tx.execute(update(badge_runs).where(*here).values(after_member=before))
    b = badge_backfills.c
    here = b.community_id == community_id, b.after_member == member_id
    await tx.execute(update(badge_backfills).where(*here).values(after_member=before))
    at = league_periods.c.after_member == member_id
    await tx.execute(update(league_periods).where(at).values(after_member=before))


# Kept activities, plans


async def computed_ids(tx: Tx, community_id: UUID, member_id: UUID) -> list[UUID]:
    """The ids that the member's linked identities compute to."""
    known = tx.database.table("known_identities").c
    where = known.community_id == community_id, known.member_id == member_id
    return [row.computed_id for row in await tx.all(select(known.computed_id).where(*where))]


async def put_bodies(tx: Tx, table: Table, key: Sequence[str], bodies: Sequence[Mapping[str, Any]]) -> None:
    by = [table.c[name] for name in key]
    for row in bodies:
        await update_among(tx, table, by, [tuple(row[name] for name in key)], {"body": row["body"]})


async def figures_of_plans(tx: Tx, community_id: UUID) -> list[Row[Any]]:
    columns = plans.c.id, plans.c.result, plans.c.posted, plans.c.created_by, plans.c.note
    return await tx.all(select(*columns).where(plans.c.community_id == community_id))


async def rule_sets_of(tx: Tx, community_id: UUID) -> list[Row[Any]]:
    return await tx.all(select(rule_sets.c.body, rule_sets.c.epoch).where(rule_sets.c.community_id == community_id))


async def page_of_signals(tx: Tx, after: UUID | None, most: int) -> list[Row[Any]]:
    """In the order of their ids."""
    stmt = select(signals.c.id, signals.c.body)
    if after is not None:
        stmt = stmt.where(signals.c.id > after)
    return await tx.all(stmt.order_by(signals.c.id).limit(most))


async def remove_signals(tx: Tx, ids: Sequence[UUID]) -> None:
    await delete_among(tx, signals, (signals.c.id,), [(id,) for id in ids])


async def bodies_of(tx: Tx, table: Table, ids: Sequence[UUID]) -> list[Row[Any]]:
    return await select_among(tx, table, table.c.id, ids, lock=True)
