"""Whether check-ins bring what their series ask for and who has to say so (R32); those that are not taken at once are
kept as attempts.

What became of one is decided once: sent again it meets its attempt, whatever the series asks for by then. History is
taken at its word: where it comes from, somebody decided what counts.

The check-ins of a batch cost a statement where a series of theirs asks for something or did, and three more where one
is not taken. The caller holds the locks of what they can be undone by.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit.clock import uuid7
from kit.contracts.events import Activity
from kit.database import Tx
from services.rewards.domain.checkins import Terms
from services.rewards.domain.proofs import (
    ACCEPTED,
    APPROVED,
    PENDING,
    REFUSED,
    Missing,
    brought,
    missing,
    status_of_attempt,
)
from services.rewards.domain.undoing import way_of_checkin
from services.rewards.store import attempts as store
from services.rewards.store.attempts import Key


class Try(NamedTuple):
    """An activity that would be a member's check-in of a day."""

    activity: Activity
    terms: Terms
    member_id: UUID
    day: date

    @property
    def key(self) -> Key:
        return self.activity.community_id, self.terms.present.id, self.activity.event_id

    @property
    def whose_day(self) -> tuple[UUID, str, UUID, date]:
        return self.activity.community_id, self.terms.present.id, self.member_id, self.day


async def judge(tx: Tx, tries: Sequence[Try], undone: Collection[UUID]) -> dict[Key, str]:
    """What each of them is: accepted, pending or refused. Events that are `undone` wait for nobody: they are nothing
    anyway."""
    out = {one.key: ACCEPTED for one in tries}
    asked = [one for one in tries if one.terms.judged and one.activity.event_id not in undone]
    there = await store.among(tx, [one.key for one in asked])
    out |= {key: status_of_attempt(row.state) for key, row in there.items()}
    new = {one.key: (one, _lacks(one)) for one in asked if one.key not in there and one.activity.import_name is None}
    new = {key: (one, lacks) for key, (one, lacks) in new.items() if lacks or one.terms.present.approval is not None}
    if new:
        # Taken before the series asked for it: it stays what it is.
        taken = await store.events_of_days(tx, [one.whose_day for one, _ in new.values()])
        rows = [_row(tx, one, lacks) for key, (one, lacks) in new.items() if key not in taken]
        await _confirmed(tx, rows, {one.key: one.terms for one, _ in new.values()})
        await store.add(tx, rows)
        out |= {_key(row): status_of_attempt(row["state"]) for row in rows}
    return out


def _lacks(one: Try) -> tuple[Missing, ...]:
    series = one.terms.present
    return missing(series.proof, brought(one.activity.data, series.id, one.day))


def _row(tx: Tx, one: Try, lacks: Sequence[str]) -> dict[str, Any]:
    community_id, series_id, event_id = one.key
    way, approval = way_of_checkin(one.activity), one.terms.present.approval
    waits = approval is not None and not lacks
    return {
        "community_id": community_id,
        "series_id": series_id,
        "event_id": event_id,
        "id": uuid7(tx.now),
        "member_id": one.member_id,
        "day": one.day,
        "at": one.activity.effective_at,
        "state": PENDING if waits else REFUSED,
        "missing": list(lacks),
        "thing": None if way is None else way.thing,
        "body": msgspec.json.encode(replace(one.activity, sealed_text=None)) if waits else None,
        "due_at": tx.now + timedelta(hours=approval.within_hours) if waits and approval is not None else None,
        "decided_at": None,
        "decided_by": None,
        "reason": "",
        "created_at": tx.now,
    }


def _key(row: Mapping[str, Any]) -> Key:
    return row["community_id"], row["series_id"], row["event_id"]


async def _confirmed(tx: Tx, rows: Sequence[dict[str, Any]], terms: Mapping[Key, Terms]) -> None:
    """Confirmations go another way on the log than the check-in, and may be here before it."""
    waiting = [row for row in rows if row["state"] == PENDING and row["thing"] is not None]
    there = await store.confirmed(tx, [row["thing"] for row in waiting])
    for row in waiting:
        approval = terms[_key(row)].present.approval
        if approval is not None and approval.enough(there.get(row["thing"], ()), row["member_id"]):
            row |= decided(tx, APPROVED, by="")


def decided(tx: Tx, state: str, *, by: str, reason: str = "") -> dict[str, Any]:
    """What changes of an attempt that waits no more; `by` "": those who confirmed it, or nobody in time."""
    return {
        "state": state,
        "body": None,
        "due_at": None,
        "decided_at": tx.now,
        "decided_by": by or None,
        "reason": reason,
    }
