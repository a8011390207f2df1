"""Whether check-ins bring what their series ask for (R32); those that do not are kept as attempts.

What became of one is decided once: sent again it meets its attempt, whatever the series asks for by then. History is
taken at its word: where it comes from, somebody decided what counts.

The check-ins of a batch cost a statement where a series of theirs asks for something or did, and two more where one is
refused.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from kit.clock import uuid7
from kit.contracts.events import Activity
from kit.database import Tx
from services.rewards.domain.checkins import Terms
from services.rewards.domain.proofs import ACCEPTED, REFUSED, Missing, brought, missing
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


async def judge(tx: Tx, tries: Sequence[Try]) -> dict[Key, str]:
    """What each of them is: accepted or refused."""
    out = {one.key: ACCEPTED for one in tries}
    asked = [one for one in tries if one.terms.judged]
    there = await store.among(tx, [one.key for one in asked])
    out |= {key: row.state for key, row in there.items()}
    lacking = {
        one.key: (one, lacks)
        for one in asked
        if one.key not in there and one.activity.import_name is None and (lacks := _lacks(one))
    }
    if lacking:
        # Taken before the series asked for it: it stays what it is.
        taken = await store.events_of_days(tx, [one.whose_day for one, _ in lacking.values()])
        new = {key: found for key, found in lacking.items() if key not in taken}
        await store.add(tx, [_row(tx, one, REFUSED, lacks) for one, lacks in new.values()])
        out |= dict.fromkeys(new, REFUSED)
    return out


def _lacks(one: Try) -> tuple[Missing, ...]:
    series = one.terms.present
    return missing(series.proof, brought(one.activity.data, series.id, one.day))


def _row(tx: Tx, one: Try, state: str, lacks: Sequence[str]) -> dict[str, Any]:
    community_id, series_id, event_id = one.key
    return {
        "community_id": community_id,
        "series_id": series_id,
        "event_id": event_id,
        "id": uuid7(tx.now),
        "member_id": one.member_id,
        "day": one.day,
        "at": one.activity.effective_at,
        "state": state,
        "missing": list(lacks),
        "created_at": tx.now,
    }
