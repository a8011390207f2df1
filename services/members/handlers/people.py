"""People: created by hand or seen by bots, moved between states, linked to their identities."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.clock import uuid7
from kit.contracts.members import MemberChanged
from kit.database import Tx
from kit.errors import Conflict, NotFound
from kit.metrics import MEMBER_MOVES
from services.members import domain
from services.members.domain import Member
from services.members.handlers.erasing import ERASED, refuse_erased, wipe
from services.members.handlers.revocations import void_tokens
from services.members.store import people, segments

IfMatch = Callable[[int], None]
"""Raises when the caller has another version in mind than the present one."""


async def announce(tx: Tx, members: Sequence[Member]) -> None:
    """State events of these members, and our own copies at once."""
    pairs = [(m.community_id, m.id) for m in members]
    identities = await people.identities_of(tx, pairs=pairs)
    inside = await segments.segments_of(tx, pairs=pairs)
    events = [
        MemberChanged(
            community_id=m.community_id,
            member_id=m.id,
            version=m.version,
            display_name=m.display_name,
            state=m.state,
            kind=m.kind,
            locale=m.locale,
            zone=m.zone,
            identities=tuple(identities.get((m.community_id, m.id), ())),
            changed_at=m.changed_at,
            segments=inside.get((m.community_id, m.id), ()),
        )
        for m in members
    ]
    for event in events:
        outbox.add(tx, event)
    await copies.apply(tx, events)


def transition(
    tx: Tx, m: Member, came_from: str | None, *, actor: str, reason: str, rule: str | None = None
) -> dict[str, Any]:
    """The row that says how `m` came into its state; `rule` None where a person decided."""
    tx.after_commit.append(MEMBER_MOVES.labels(m.state).inc)
    return {
        "community_id": m.community_id,
        "member_id": m.id,
        "from_state": came_from,
        "to_state": m.state,
        "actor": actor,
        "reason": reason,
        "rule": rule,
        "effective_at": m.state_at,
        "created_at": tx.now,
    }


def new_member(
    tx: Tx,
    community_id: UUID,
    member_id: UUID,
    *,
    name: str,
    state: str,
    kind: str,
    state_at: datetime,
    settled_at: datetime | None = None,
    locale: str | None = None,
    zone: str | None = None,
) -> Member:
    return Member(
        community_id=community_id,
        id=member_id,
        version=1,
        display_name=name,
        state=state,
        state_at=state_at,
        settled_at=settled_at,
        held=False,
        kind=kind,
        locale=locale,
        zone=zone,
        created_at=tx.now,
        changed_at=tx.now,
    )


def identity_row(
    community_id: UUID, identity: str, member_id: UUID, *, linked: bool, at: datetime, seen_at: datetime | None
) -> dict[str, Any]:
    return {
        "community_id": community_id,
        "identity": identity,
        "member_id": member_id,
        "version": 1,
        "linked": linked,
        "first_seen_at": seen_at,
        "created_at": at,
    }


async def create_member(
    tx: Tx,
    *,
    community_id: UUID,
    display_name: str,
    kind: str,
    state: str,
    locale: str | None,
    zone: str | None,
    identity: str | None,
    actor: str,
) -> Member:
    """A member made by hand or by a frontend. With `identity` it is the member that identity computes to.

    Conflict when that identity is somebody already.
    """
    member_id = domain.own_member_id(community_id, identity) if identity else uuid7(tx.now)
    # A member made as `observed` is one of whom nothing was said yet, so news of any time may still move them.
    settled = None if state == "observed" else tx.now
    new = new_member(
        tx,
        community_id,
        member_id,
        name=display_name,
        state=state,
        kind=kind,
        state_at=tx.now,
        settled_at=settled,
        locale=locale,
        zone=zone,
    )
    if identity:
        await refuse_erased(tx, community_id, member_id)
        row = identity_row(community_id, identity, member_id, linked=False, at=tx.now, seen_at=None)
        if not await people.add_identities(tx, rows=[row]):
            there = await people.identity(tx, community_id=community_id, identity=identity, lock=True)
            # One that was taken off a member before anybody saw it is kept, and is nobody's.
            if there is None or there.member_id != member_id:
                raise Conflict("this identity is somebody's already", code="identity_in_use")
    if not await people.add_members(tx, members=[new]):
        raise Conflict("this identity is a member already", code="identity_in_use")
    await people.add_transitions(tx, rows=[transition(tx, new, None, actor=actor, reason="created")])
    await announce(tx, [new])
    return new


async def existing(tx: Tx, community_id: UUID, member_id: UUID, *, lock: bool = False) -> Member:
    """The member, of this community; NotFound otherwise."""
    found = await people.member(tx, community_id=community_id, member_id=member_id, lock=lock)
    if found is None:
        raise NotFound("no such member", code="member_unknown")
    return found


async def change_member(
    tx: Tx, *, community_id: UUID, member_id: UUID, changes: dict[str, Any], if_match: IfMatch
) -> Member:
    """Write changed fields (display_name, locale, zone, kind) as a new version; no change, no version. Conflict for who
    was erased."""
    member = await existing(tx, community_id, member_id, lock=True)
    if member.state == ERASED:
        raise Conflict("this member was erased", code="member_erased")
    if_match(member.version)
    changed = replace(member, **changes)
    return member if changed == member else await save(tx, changed)


async def save(tx: Tx, member: Member) -> Member:
    """Write this form of the member as a new version, and announce it."""
    saved = replace(member, version=member.version + 1, changed_at=tx.now)
    await people.save_members(tx, members=[saved])
    await announce(tx, [saved])
    return saved


async def move_member(tx: Tx, *, community_id: UUID, member_id: UUID, to: str, reason: str, actor: str) -> Member:
    """One step of M's state machine; Conflict names the legal ones. Who is put out loses the tokens at hand, and who is
    erased everything that names them."""
    member = await existing(tx, community_id, member_id, lock=True)
    if not domain.may_move(member.state, to):
        legal = domain.LEGAL[member.state]
        raise Conflict(
            f"from {member.state} to {to} is no legal step; legal: {', '.join(legal) or 'none'}",
            code="transition_illegal",
            legal=list(legal),
        )
    moved = domain.by_person(member, to, tx.now)
    moved = await save(tx, await wipe(tx, moved, actor=actor) if to == ERASED else moved)
    await people.add_transitions(tx, rows=[transition(tx, moved, member.state, actor=actor, reason=reason)])
    if to in domain.WITHOUT_TOKENS:
        await void_tokens(tx, [(community_id, member_id)])
    return moved
