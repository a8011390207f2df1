"""Segments: members put together by hand, for whatever goes by them in the other services.

A segment's row is held while somebody comes in or goes out, and theirs after it: limits are exact, and of two changes
of one member the second is announced with what the first left.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from kit.contracts.members import STAFF
from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from services.members.domain import SEGMENT_ENTERED, SEGMENT_LEFT, Member
from services.members.handlers.people import IfMatch, announce
from services.members.store import people, places
from services.members.store import segments as store

STAFF_NAME, STAFF_DESCRIPTION = "Staff", "Who runs the community."

SEGMENTS_MOST = 200
"""So many has a community."""
OF_MEMBER_MOST = 50
"""So many is a member in."""
INSIDE_MOST = 10_000
"""So many members does a segment hold that is put together by hand: deleting it is one transaction."""
AT_ONCE_MOST = 500


async def add_defaults(tx: Tx, community_id: UUID) -> None:
    await store.add_segment(
        tx, community_id=community_id, segment_id=STAFF, name=STAFF_NAME, description=STAFF_DESCRIPTION
    )


async def existing_segment(tx: Tx, community_id: UUID, segment_id: str, *, lock: bool = False) -> Any:
    row = await store.segment(tx, community_id=community_id, segment_id=segment_id, lock=lock)
    if row is None:
        raise NotFound("no such segment; see GET /v1/segments", code="segment_unknown")
    return row


async def put_segment(
    tx: Tx, *, community_id: UUID, segment_id: str, name: str, description: str, if_match: IfMatch
) -> tuple[Any, bool]:
    """The segment with this name and description, and whether it is new. What is in it stays."""
    row = await store.segment(tx, community_id=community_id, segment_id=segment_id, lock=True)
    if row is None:
        # Of two that make segments at the same time the second counts the first one's.
        await places.community(tx, community_id=community_id, lock=True)
        if await store.count_segments(tx, community_id=community_id) >= SEGMENTS_MOST:
            raise Unprocessable(f"a community has at most {SEGMENTS_MOST} segments", code="segments_too_many")
        new = await store.add_segment(
            tx, community_id=community_id, segment_id=segment_id, name=name, description=description
        )
        row = await existing_segment(tx, community_id, segment_id, lock=True)
        if new:
            return row, True
    if_match(row.version)
    if (row.name, row.description) == (name, description):
        return row, False
    values = {"name": name, "description": description, "version": row.version + 1, "changed_at": tx.now}
    await store.save_segment(tx, community_id=community_id, segment_id=segment_id, values=values)
    return await existing_segment(tx, community_id, segment_id), False


async def delete_segment(tx: Tx, *, community_id: UUID, segment_id: str, actor: str) -> None:
    """Everybody is out of it, and announced so. Conflict for the one that every community has."""
    if segment_id == STAFF:
        raise Conflict("every community has this segment; take its members out instead", code="segment_permanent")
    await existing_segment(tx, community_id, segment_id, lock=True)
    inside = await store.all_inside(tx, community_id=community_id, segment_id=segment_id)
    for start in range(0, len(inside), AT_ONCE_MOST):
        some = inside[start : start + AT_ONCE_MOST]
        members = await people.members_among(tx, pairs=[(community_id, id) for id in some], lock=True)
        await _leave(tx, segment_id, list(members.values()), reason="the segment was deleted", actor=actor)
    await store.remove_segment(tx, community_id=community_id, segment_id=segment_id)


async def include(
    tx: Tx, *, community_id: UUID, segment_id: str, member_ids: Sequence[UUID], reason: str, actor: str, at: str
) -> int:
    """Put these members in; how many were not in before. All of them or, with a refusal, nobody.

    Unprocessable names those that are no members, were erased, or are in too many segments; `at` is the pointer to one
    of them by its number.
    """
    await existing_segment(tx, community_id, segment_id, lock=True)
    pairs = [(community_id, id) for id in member_ids]
    members = await people.members_among(tx, pairs=pairs, lock=True)
    before = await store.segments_of(tx, pairs=pairs)
    new = [m for pair, m in members.items() if segment_id not in before.get(pair, ())]
    coming = {m.id for m in new}
    wrong: list[FieldError] = []
    for number, pair in enumerate(pairs):
        found = members.get(pair)
        if found is None:
            wrong.append(FieldError(at.format(number), "member_unknown", "no such member"))
        elif found.state == "erased":
            wrong.append(FieldError(at.format(number), "member_erased", "this member was erased"))
        elif found.id in coming and len(before.get(pair, ())) >= OF_MEMBER_MOST:
            most = f"in {OF_MEMBER_MOST} segments already, which is the most"
            wrong.append(FieldError(at.format(number), "segments_too_many", most))
    if wrong:
        raise Unprocessable("not all of these can be put in; see errors", code="segment_refused", errors=wrong)
    size = (await store.sizes(tx, community_id=community_id, segment_ids=[segment_id])).get(segment_id, 0)
    if size + len(new) > INSIDE_MOST:
        raise Unprocessable(f"a segment holds at most {INSIDE_MOST} members", code="segment_full")
    if new:
        ids = [m.id for m in new]
        await store.put_in(
            tx, community_id=community_id, segment_id=segment_id, member_ids=ids, reason=reason, actor=actor
        )
        await _announce(tx, segment_id, new, SEGMENT_ENTERED, reason, actor)
    return len(new)


async def exclude(tx: Tx, *, community_id: UUID, segment_id: str, member_id: UUID, reason: str, actor: str) -> None:
    """Take a member out; who is not in it stays as they are."""
    await existing_segment(tx, community_id, segment_id, lock=True)
    pair = community_id, member_id
    members = await people.members_among(tx, pairs=[pair], lock=True)
    if not members:
        raise NotFound("no such member", code="member_unknown")
    if segment_id in (await store.segments_of(tx, pairs=[pair])).get(pair, ()):
        await _leave(tx, segment_id, list(members.values()), reason=reason, actor=actor)


async def _leave(tx: Tx, segment_id: str, members: Sequence[Member], *, reason: str, actor: str) -> None:
    ids = [m.id for m in members]
    await store.take_out(tx, community_id=members[0].community_id, segment_id=segment_id, member_ids=ids)
    await _announce(tx, segment_id, members, SEGMENT_LEFT, reason, actor)


async def _announce(tx: Tx, segment_id: str, members: Sequence[Member], change: str, reason: str, actor: str) -> None:
    """Who came or went is written down, and each of them is announced anew."""
    await store.note_changes(
        tx,
        community_id=members[0].community_id,
        segment_id=segment_id,
        member_ids=[m.id for m in members],
        change=change,
        reason=reason,
        actor=actor,
    )
    changed = [replace(m, version=m.version + 1, changed_at=tx.now) for m in members]
    await people.save_members(tx, members=changed)
    await announce(tx, changed)
