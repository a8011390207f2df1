"""People: created by hand or seen by bots, moved between states, linked to their identities."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.clock import uuid7
from kit.contracts import Envelope
from kit.contracts.events import Activity, IdentityObserved
from kit.contracts.members import IdentityLinked, MemberChanged
from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from services.members import domain
from services.members.domain import Member, Membership
from services.members.store import people

CODE_LIFETIME = timedelta(minutes=10)


async def _announce(tx: Tx, members: Iterable[Member]) -> None:
    """State events of these members, and our own copies at once."""
    members = list(members)
    identities = await people.identities_of(tx, pairs=[(m.community_id, m.id) for m in members])
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
        )
        for m in members
    ]
    for event in events:
        outbox.add(tx, event)
    await copies.apply(tx, events)


def _transition(m: Member, came_from: str | None, actor: str, reason: str, tx: Tx) -> dict[str, Any]:
    return {
        "community_id": m.community_id,
        "member_id": m.id,
        "from_state": came_from,
        "to_state": m.state,
        "actor": actor,
        "reason": reason,
        "effective_at": m.state_at,
        "created_at": tx.now,
    }


def _new(tx: Tx, community_id: UUID, member_id: UUID, name: str, state: str, kind: str, **more: Any) -> Member:
    at = more.pop("state_at", tx.now)
    return Member(
        community_id=community_id,
        id=member_id,
        version=1,
        display_name=name,
        state=state,
        state_at=at,
        kind=kind,
        locale=more.get("locale"),
        zone=more.get("zone"),
        created_at=tx.now,
        changed_at=tx.now,
    )


def _identity_row(tx: Tx, community_id: UUID, identity: str, member_id: UUID, *, linked: bool) -> dict[str, Any]:
    return {
        "community_id": community_id,
        "identity": identity,
        "member_id": member_id,
        "version": 1,
        "linked": int(linked),
        "created_at": tx.now,
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
    new = _new(tx, community_id, member_id, display_name, state, kind, locale=locale, zone=zone)
    if not await people.add_members(tx, members=[new]):
        raise Conflict("this identity is a member already", code="identity_in_use", member_id=str(member_id))
    if identity:
        row = _identity_row(tx, community_id, identity, member_id, linked=False)
        if not await people.add_identities(tx, rows=[row]):
            raise Conflict("this identity belongs to another member", code="identity_in_use")
    await people.add_transitions(tx, rows=[_transition(new, None, actor, "created", tx)])
    await _announce(tx, [new])
    return new


async def existing(tx: Tx, community_id: UUID, member_id: UUID, *, lock: bool = False) -> Member:
    """The member, of this community; NotFound otherwise."""
    found = await people.member(tx, community_id=community_id, member_id=member_id, lock=lock)
    if found is None:
        raise NotFound("no such member", code="member_unknown")
    return found


async def change_member(tx: Tx, member: Member, changes: dict[str, Any]) -> Member:
    """Write changed fields (display_name, locale, zone, kind) as a new version."""
    changed = replace(member, **changes, version=member.version + 1, changed_at=tx.now)
    await people.save_members(tx, members=[changed])
    await _announce(tx, [changed])
    return changed


async def move_member(tx: Tx, *, community_id: UUID, member_id: UUID, to: str, reason: str, actor: str) -> Member:
    """One step of M's state machine; Conflict names the legal ones."""
    member = await existing(tx, community_id, member_id, lock=True)
    if not domain.may_move(member.state, to):
        legal = ", ".join(domain.LEGAL[member.state]) or "none"
        raise Conflict(
            f"from {member.state} to {to} is no legal step; legal: {legal}",
            code="transition_illegal",
            legal=list(domain.LEGAL[member.state]),
        )
    moved = replace(member, state=to, state_at=tx.now, version=member.version + 1, changed_at=tx.now)
    await people.save_members(tx, members=[moved])
    await people.add_transitions(tx, rows=[_transition(moved, member.state, actor, reason, tx)])
    await _announce(tx, [moved])
    return moved


async def link_identity(tx: Tx, *, community_id: UUID, member_id: UUID, identity: str) -> None:
    """From now on `identity` is this member, also for every other service.

    Conflict `identity_in_use` when it is another's, `merge_required` when it has a member of its own: what that one
    did and earned would have to move, and merging members does not exist yet.
    """
    await existing(tx, community_id, member_id, lock=True)
    there = await people.identity(tx, community_id=community_id, identity=identity)
    if there is not None and there.member_id == member_id:
        return
    own = domain.own_member_id(community_id, identity)
    if there is not None and there.member_id != own:
        raise Conflict("this identity belongs to another member", code="identity_in_use")
    if own != member_id and await people.member(tx, community_id=community_id, member_id=own) is not None:
        raise Conflict("this identity was seen and is a member of its own; merging is needed", code="merge_required")
    row = _identity_row(tx, community_id, identity, member_id, linked=own != member_id)
    if not await people.add_identities(tx, rows=[row]):
        raise Conflict("this identity belongs to another member", code="identity_in_use")
    if own != member_id:
        event = IdentityLinked(community_id=community_id, identity=identity, member_id=member_id, version=1)
        outbox.add(tx, event)
        await copies.apply(tx, [event])
    member = await existing(tx, community_id, member_id)
    await change_member(tx, member, {})


async def make_code(tx: Tx, *, community_id: UUID, member_id: UUID) -> str:
    """A code the member says in a chat to prove that an identity there is theirs; ten minutes, once."""
    await existing(tx, community_id, member_id)
    code = "".join(secrets.choice(domain.CODE_ALPHABET) for _ in range(domain.CODE_LENGTH))
    expires = tx.now + CODE_LIFETIME
    await people.add_code(tx, community_id=community_id, digest=_digest(code), member_id=member_id, expires_at=expires)
    return code


async def confirm_code(tx: Tx, *, community_id: UUID, code: str, identity: str) -> UUID:
    """Link the identity that said the code; returns the member. Unprocessable for a code that is not good."""
    clean = domain.clean_code(code)
    member_id = await people.take_code(tx, community_id=community_id, digest=_digest(clean)) if clean else None
    if member_id is None:
        wrong = FieldError("/code", "code_unknown", "wrong, used or expired; ask for a new one")
        raise Unprocessable("this code is not good", code="code_unknown", errors=[wrong])
    await link_identity(tx, community_id=community_id, member_id=member_id, identity=identity)
    return member_id


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


async def observe(tx: Tx, batch: list[Envelope[IdentityObserved]]) -> None:
    """Identities seen for the first time become members in state `observed`; who is known stays as he is."""
    seen = [e.event for e in batch]
    linked = await copies.resolve_members(tx, [(e.community_id, e.member_id) for e in seen])
    fresh = [e for e in seen if linked[e.community_id, e.member_id] == e.member_id]
    members = [
        _new(
            tx,
            e.community_id,
            e.member_id,
            _name(e.identity),
            "observed",
            "bot" if e.is_bot else "person",
            state_at=e.first_seen_at,
        )
        for e in fresh
    ]
    new = await people.add_members(tx, members=members)
    rows = [_identity_row(tx, e.community_id, e.identity, e.member_id, linked=False) for e in fresh]
    await people.add_identities(tx, rows=rows)
    created = _distinct(m for m in members if (m.community_id, m.id) in new)
    await people.add_transitions(tx, rows=[_transition(m, None, "bot", "seen in a chat", tx) for m in created])
    await _announce(tx, created)


def _name(identity: str) -> str:
    """What to call somebody of whom only an identity is known."""
    return identity.partition(":")[2] or identity


def _distinct(members: Iterable[Member]) -> list[Member]:
    return list({(m.community_id, m.id): m for m in members}.values())


async def follow_membership(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """What platforms say of joining and leaving moves members, by the time it happened, not the time it arrived."""
    activities = [e.event for e in batch if e.event.type in domain.MEMBERSHIP_EVENTS and e.event.actor_id is not None]
    activities = [a for a in activities if _about_community(a)]
    ids = await copies.resolve_members(tx, [(a.community_id, a.actor_id) for a in activities if a.actor_id])
    news: dict[tuple[UUID, UUID], list[Membership]] = {}
    identities: dict[tuple[UUID, UUID], str] = {}
    for a in activities:
        assert a.actor_id is not None
        member_id = ids[a.community_id, a.actor_id]
        item = Membership(a.community_id, member_id, domain.MEMBERSHIP_EVENTS[a.type], a.effective_at, a.type)
        news.setdefault((a.community_id, member_id), []).append(item)
        if a.actor and not a.actor.startswith("member:") and member_id == a.actor_id:
            identities[a.community_id, member_id] = a.actor
    await _first_seen(tx, news, identities)
    await _move_all(tx, news)


def _about_community(activity: Activity) -> bool:
    """Coming in always counts; leaving one channel of many is not leaving the community."""
    scope = activity.data.get("scope", "")
    return activity.type == "member.joined" or scope in domain.SCOPES_OF_COMMUNITY


async def _first_seen(
    tx: Tx, news: dict[tuple[UUID, UUID], list[Membership]], identities: dict[tuple[UUID, UUID], str]
) -> None:
    candidates = [
        _new(tx, c, m, _name(identities[c, m]), "observed", "person", state_at=min(n.effective_at for n in news[c, m]))
        for c, m in identities
    ]
    new = await people.add_members(tx, members=candidates)
    rows = [_identity_row(tx, c, identity, m, linked=False) for (c, m), identity in identities.items()]
    await people.add_identities(tx, rows=rows)
    created = [m for m in candidates if (m.community_id, m.id) in new]
    await people.add_transitions(tx, rows=[_transition(m, None, "bot", "seen in a chat", tx) for m in created])


async def _move_all(tx: Tx, news: dict[tuple[UUID, UUID], list[Membership]]) -> None:
    members = await people.members_among(tx, pairs=news, lock=True)
    moved: list[Member] = []
    steps: list[dict[str, Any]] = []
    for key, member in members.items():
        for came_from, cause in domain.fold(member.state, member.state_at, news[key]):
            member = replace(member, state=cause.state, state_at=cause.effective_at)
            steps.append(_transition(member, came_from, "platform", cause.reason, tx))
        if member is not members[key]:
            moved.append(replace(member, version=member.version + 1, changed_at=tx.now))
    await people.save_members(tx, members=moved)
    await people.add_transitions(tx, rows=steps)
    await _announce(tx, moved)
