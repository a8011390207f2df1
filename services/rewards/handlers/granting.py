"""Standings that a transaction holds, and what becomes of them: grants, ends of grants, the news of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any
from uuid import UUID

from kit import outbox
from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from kit.database import Tx
from kit.errors import Conflict, Unprocessable
from services.rewards.domain import badges as domain
from services.rewards.domain.badges import End, Grant, Outcome, Standing
from services.rewards.handlers import badges
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.counting import count_badges
from services.rewards.store import badges as store
from services.rewards.store.badges import Key

CODE_BYTES = 16
"""Of a certificate's code: nobody guesses one."""
EXPIRE_AT_ONCE = 500


@dataclass(slots=True)
class Held:
    """A standing that the transaction holds; `before` as it is stored."""

    key: Key
    defined: Defined
    before: Standing
    standing: Standing
    changes: list[Grant | End] = field(default_factory=list)
    actor: str = ""
    reason: str = ""

    @staticmethod
    def read(row: Any) -> Standing:
        return Standing(row.progress, row.number, row.held, row.granted_at, row.expires_at, row.by_hand)

    def take(self, outcome: Outcome) -> None:
        self.standing = outcome.standing
        self.changes += outcome.changes


async def hold(tx: Tx, defined: Mapping[Key, Defined]) -> dict[Key, Held]:
    """Lock these standings and read them."""
    found = await store.lock(tx, [_row(key, Standing()) for key in sorted(defined)])
    out = {}
    for key, one in defined.items():
        before = Held.read(found[key]) if key in found else Standing()
        out[key] = Held(key, one, before, before)
    return out


async def save(tx: Tx, held: Sequence[Held]) -> None:
    """Write what changed of them, and announce it."""
    await store.put_standings(tx, [_row(one.key, one.standing) for one in held if one.standing != one.before])
    new = [(one, change) for one in held for change in one.changes if isinstance(change, Grant)]
    ends = [(one, change) for one in held for change in one.changes if isinstance(change, End)]
    await store.add_grants(tx, [_grant_row(one, grant, tx.now) for one, grant in new])
    told: dict[tuple[Key, int], bool] = {}
    if ends:
        rows = await store.grants_of(tx, [(*one.key, end.number) for one, end in ends])
        by_key = {((r.community_id, r.badge_id, r.member_id), r.number): r._asdict() for r in rows}
        told = {place: row["told"] for place, row in by_key.items()}
        await store.end_grants(tx, [_ended(by_key[one.key, end.number], one, end) for one, end in ends])
    for one in held:
        for change in one.changes:
            outbox.add(tx, _granted(one, change) if isinstance(change, Grant) else _revoked(one, change, told))
    tx.after_commit.append(lambda: count_badges(["granted"] * len(new) + [end.why for _, end in ends]))


async def expire(tx: Tx) -> int:
    """End the grants whose time is over, some hundreds at a time; how many."""
    keys = await store.expired(tx, EXPIRE_AT_ONCE)
    if not keys:
        return 0
    found = await badges.of_communities(tx, {key[0] for key in keys})
    by_id = {(c, one.badge.id): one for c, some in found.items() for one in some}
    held = await hold(tx, {key: by_id[key[:2]] for key in keys})
    for one in held.values():
        one.take(domain.expired(one.standing, tx.now))
    await save(tx, list(held.values()))
    return sum(len(one.changes) for one in held.values())


async def grant(tx: Tx, defined: Defined, member_id: UUID, at: datetime | None, *, reason: str, actor: str) -> Held:
    """An operator's word: the badge is the member's, as of `at` (None: now). Conflict where it is already."""
    if at is not None and at > tx.now:
        raise Unprocessable("granted_at is yet to come", code="granted_at_in_future")
    if not defined.badge.enabled:
        raise Conflict("this badge is not granted any more", code="badge_disabled")
    one = await _hold_one(tx, defined, member_id)
    if one.standing.at(tx.now).held:
        raise Conflict("the member holds this badge already", code="badge_held")
    one.take(domain.by_hand(defined.badge, one.standing, tx.now, at or tx.now))
    one.actor, one.reason = actor, reason
    marks = await store.marks_of(tx, [one.key])
    await store.remove_marks(tx, [(*one.key, row.value, row.event_id) for row in marks])
    await save(tx, [one])
    return one


async def revoke(tx: Tx, defined: Defined, member_id: UUID, *, reason: str, actor: str) -> Held:
    """An operator's word: the badge is not the member's, and no event brings it back. Conflict where it is not."""
    one = await _hold_one(tx, defined, member_id)
    if not one.standing.at(tx.now).held:
        raise Conflict("the member does not hold this badge", code="badge_not_held")
    one.take(domain.taken(one.standing, tx.now))
    one.actor, one.reason = actor, reason
    await save(tx, [one])
    return one


async def _hold_one(tx: Tx, defined: Defined, member_id: UUID) -> Held:
    key = defined.community_id, defined.badge.id, member_id
    return (await hold(tx, {key: defined}))[key]


def _row(key: Key, standing: Standing) -> dict[str, Any]:
    community_id, badge_id, member_id = key
    return {
        "community_id": community_id,
        "badge_id": badge_id,
        "member_id": member_id,
        "progress": standing.progress,
        "number": standing.number,
        "held": standing.held,
        "granted_at": standing.granted_at,
        "expires_at": standing.expires_at,
        "by_hand": standing.by_hand,
    }


def _grant_row(one: Held, grant: Grant, now: datetime) -> dict[str, Any]:
    community_id, badge_id, member_id = one.key
    return {
        "community_id": community_id,
        "badge_id": badge_id,
        "member_id": member_id,
        "number": grant.number,
        "version": one.defined.version,
        "code": token_hex(CODE_BYTES),
        "granted_at": grant.reached.at,
        "expires_at": grant.expires_at,
        "event_id": grant.reached.event_id,
        "actor": one.actor,
        "reason": one.reason,
        "told": _notify(one, grant),
        "created_at": now,
        "ended_at": None,
        "ended_why": None,
        "ended_reason": None,
    }


def _ended(row: dict[str, Any], one: Held, end: End) -> dict[str, Any]:
    reason = one.reason if end.why == "by_hand" else ""
    return {**row, "ended_at": end.at, "ended_why": end.why, "ended_reason": reason}


def _notify(one: Held, grant: Grant) -> bool:
    return not one.defined.badge.silent and not grant.reached.history


def _granted(one: Held, grant: Grant) -> BadgeGranted:
    community_id, badge_id, member_id = one.key
    return BadgeGranted(
        community_id=community_id,
        badge_id=badge_id,
        badge_name=one.defined.badge.name,
        member_id=member_id,
        number=grant.number,
        granted_at=grant.reached.at,
        expires_at=grant.expires_at,
        history=grant.reached.history,
        notify=_notify(one, grant),
        cause_id=grant.reached.event_id,
        actor=one.actor,
        reason=one.reason,
    )


def _revoked(one: Held, end: End, told: Mapping[tuple[Key, int], bool]) -> BadgeRevoked:
    """Who never heard of a grant does not hear of its end."""
    community_id, badge_id, member_id = one.key
    by_hand = end.why == "by_hand"
    return BadgeRevoked(
        community_id=community_id,
        badge_id=badge_id,
        badge_name=one.defined.badge.name,
        member_id=member_id,
        number=end.number,
        ended_at=end.at,
        why=end.why,
        notify=not one.defined.badge.silent and told[one.key, end.number],
        actor=one.actor if by_hand else "",
        reason=one.reason if by_hand else "",
    )
