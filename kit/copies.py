"""What a service knows of communities, members, keys and operators: copies, kept from `guildhall.members` (K23).

The newest version of an entity wins whatever the order of arrival, so a topic read again from the beginning, or
by two replicas, leaves the same rows. Copies are late by about the time of one relay and one consumer step.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kit.contracts import Envelope, identity_member_id
from kit.contracts.members import (
    CommunityChanged,
    IdentityLinked,
    KeyChanged,
    MemberChanged,
    MemberTokensRevoked,
    SessionChanged,
    SigningKeyChanged,
)
from kit.database import Tx, select_among, upsert

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnownCommunity:
    """`day_start` in minutes after midnight of `zone` (IANA); `state` active or closed."""

    id: UUID
    name: str
    zone: str
    day_start: int
    locale: str
    state: str


@dataclass(frozen=True, slots=True)
class KnownMember:
    """`state` as in the members service; `kind` person or bot; `locale` and `zone` None where the community's hold;
    `segments` the ids of those the member is in."""

    id: UUID
    display_name: str
    state: str
    kind: str
    locale: str | None
    zone: str | None
    segments: tuple[str, ...] = ()


def _community(e: CommunityChanged) -> Row:
    return {
        "community_id": e.community_id,
        "version": e.version,
        "name": e.name,
        "zone": e.zone,
        "day_start": e.day_start,
        "locale": e.locale,
        "state": e.state,
    }


def _member(e: MemberChanged) -> Row:
    return {
        "community_id": e.community_id,
        "member_id": e.member_id,
        "version": e.version,
        "display_name": e.display_name,
        "state": e.state,
        "kind": e.kind,
        "locale": e.locale,
        "zone": e.zone,
        "segments": list(e.segments),
    }


def _identity(e: IdentityLinked) -> Row:
    computed = identity_member_id(e.community_id, e.identity)
    return {"community_id": e.community_id, "computed_id": computed, "version": e.version, "member_id": e.member_id}


def _key(e: KeyChanged) -> Row:
    return {
        "key_id": e.key_id,
        "version": e.version,
        "hash": e.hash,
        "name": e.name,
        "kind": e.kind,
        "mode": e.mode,
        "communities": [str(c) for c in e.communities],
        "scopes": list(e.scopes),
        "expires_at": e.expires_at,
        "revoked_at": e.revoked_at,
    }


def _session(e: SessionChanged) -> Row:
    return {
        "session_id": e.session_id,
        "version": e.version,
        "hash": e.hash,
        "operator": e.operator,
        "role": e.role,
        "communities": [str(c) for c in e.communities],
        "expires_at": e.expires_at,
        "revoked_at": e.revoked_at,
    }


def _signing_key(e: SigningKeyChanged) -> Row:
    return {"kid": e.kid, "version": e.version, "x": e.x, "retired_at": e.retired_at}


def _revocation(e: MemberTokensRevoked) -> Row:
    return {
        "community_id": e.community_id,
        "member_id": e.member_id,
        "version": e.version,
        "issued_before": e.issued_before,
    }


# Contract class → its table, the key of a row, and how a row is made of the event.
_COPIES: dict[type, tuple[str, tuple[str, ...], Callable[[Any], Row]]] = {
    CommunityChanged: ("known_communities", ("community_id",), _community),
    KeyChanged: ("known_keys", ("key_id",), _key),
    SessionChanged: ("known_sessions", ("session_id",), _session),
    SigningKeyChanged: ("known_signing_keys", ("kid",), _signing_key),
    MemberTokensRevoked: ("known_token_revocations", ("community_id", "member_id"), _revocation),
    MemberChanged: ("known_members", ("community_id", "member_id"), _member),
    IdentityLinked: ("known_identities", ("community_id", "computed_id"), _identity),
}


async def apply(tx: Tx, events: Sequence[Any]) -> None:
    """Bring the copies up to these state events; one statement per class. The members service calls it directly."""
    found: dict[type, list[Any]] = {}
    for event in events:
        found.setdefault(type(event), []).append(event)
    for cls, (name, key, to_row) in _COPIES.items():
        if cls not in found:
            continue
        newest: dict[Any, Row] = {}
        key_of = itemgetter(*key)
        for row in map(to_row, found[cls]):
            there = newest.setdefault(key_of(row), row)
            if there["version"] < row["version"]:
                newest[key_of(row)] = row
        rows = list(newest.values())
        update = [column for column in rows[0] if column not in key]
        await upsert(tx, tx.database.table(name), rows, key=key, update=update, newer="version")


async def _keep(tx: Tx, batch: list[Envelope[Any]]) -> None:
    await apply(tx, [envelope.event for envelope in batch])


SUBSCRIPTIONS: dict[type, Callable[[Tx, list[Envelope[Any]]], Awaitable[None]]] = dict.fromkeys(_COPIES, _keep)


async def known_communities(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, KnownCommunity]:
    """Those of the communities that this service has heard of."""
    table = tx.database.table("known_communities")
    rows = await select_among(tx, table, table.c.community_id, list(ids))
    return {
        r.community_id: KnownCommunity(r.community_id, r.name, r.zone, r.day_start, r.locale, r.state) for r in rows
    }


async def known_community(tx: Tx, community_id: UUID) -> KnownCommunity | None:
    return (await known_communities(tx, [community_id])).get(community_id)


async def all_known_communities(tx: Tx) -> list[UUID]:
    """Ids of every community; for credentials that hold for all of them."""
    table = tx.database.table("known_communities")
    return [r.community_id for r in await tx.all(select(table.c.community_id).order_by(table.c.community_id))]


async def resolve_members(tx: Tx, pairs: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], UUID]:
    """(community, computed id) → member id, following links; an id without a link is its own."""
    wanted = list(dict.fromkeys(pairs))
    table = tx.database.table("known_identities")
    rows = await select_among(tx, table, (table.c.community_id, table.c.computed_id), wanted)
    linked = {(r.community_id, r.computed_id): r.member_id for r in rows}
    return {pair: linked.get(pair, pair[1]) for pair in wanted}


async def known_members(tx: Tx, community_id: UUID, member_ids: Iterable[UUID]) -> dict[UUID, KnownMember]:
    """Those of the members that this service has heard of; never another community's."""
    known = await known_members_of(tx, [(community_id, member_id) for member_id in member_ids])
    return {member_id: member for (_, member_id), member in known.items()}


async def known_members_of(tx: Tx, pairs: Iterable[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], KnownMember]:
    """The same for (community, member) pairs of several communities at once."""
    table = tx.database.table("known_members")
    rows = await select_among(tx, table, (table.c.community_id, table.c.member_id), list(pairs))
    return {
        (r.community_id, r.member_id): KnownMember(
            r.member_id, r.display_name, r.state, r.kind, r.locale, r.zone, tuple(r.segments)
        )
        for r in rows
    }
