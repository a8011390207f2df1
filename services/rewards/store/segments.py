"""SQL of who is in which segment, as far as boards go by it: what they are narrowed by, and who they leave out."""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import insert, literal, select

from kit.database import Tx, delete_among, lock_alone, lock_shared, select_among
from services.rewards.domain.boards import Board
from services.rewards.store.narrowing import SEGMENT, Label, add_labels
from services.rewards.store.shown import BY_SEGMENT
from services.rewards.tables.boards import board_absences, member_labels

Member = tuple[UUID, UUID]
"""(community, member)"""

_OF_SEGMENTS = member_labels.c.kind == SEGMENT

LEFT_OUT = "in a segment that is not on this board"
ACTOR = "guildhall"


def _gate(community_id: UUID) -> str:
    return f"rewards segments {community_id}"


async def hold(tx: Tx, communities: Iterable[UUID]) -> None:
    """Which segments the boards of these communities leave out stays as it is until the transaction ends. Before all
    else that locks."""
    await lock_shared(tx, [_gate(community_id) for community_id in set(communities)])


async def hold_alone(tx: Tx, community_id: UUID) -> None:
    """Who is in which segment stays as it is until the transaction ends, for boards. Before all else that locks."""
    await lock_alone(tx, _gate(community_id))


async def inside(tx: Tx, members: Iterable[Member]) -> dict[Member, frozenset[str]]:
    """The segments these members are labelled with; who has none is left out."""
    t = member_labels.c
    columns, by = (t.community_id, t.member_id, t.value), (t.community_id, t.member_id)
    rows = await select_among(tx, columns, by, sorted(set(members)), where=_OF_SEGMENTS)
    out: dict[Member, frozenset[str]] = {}
    for row in rows:
        member = row.community_id, row.member_id
        out[member] = out.get(member, frozenset()) | {row.value}
    return out


async def members_of(tx: Tx, community_id: UUID, segments: Collection[str]) -> set[UUID]:
    """Everybody who is in one of the segments at least."""
    t = member_labels.c
    where = t.community_id == community_id, t.kind == SEGMENT, t.value.in_(sorted(segments))
    return {row.member_id for row in await tx.all(select(t.member_id).where(*where))}


async def change_labels(tx: Tx, come: Mapping[Member, Collection[str]], gone: Mapping[Member, Collection[str]]) -> None:
    """(community, member) → segments they are in from now on; those they are in no more."""
    # Since when nobody asks of segments.
    await add_labels(tx, {(c, _label(one), member): 0 for (c, member), some in come.items() for one in some})
    t = member_labels.c
    by = t.community_id, t.kind, t.value, t.member_id
    left = [(c, SEGMENT, one, member) for (c, member), some in gone.items() for one in some]
    await delete_among(tx, member_labels, by, left)


def _label(segment: str) -> Label:
    return SEGMENT, segment


async def leave_out(tx: Tx, board: Board) -> None:
    """Who is in a segment that a new board leaves out is not on it; before it has any line."""
    if not board.excluded_segments:
        return
    t, a = member_labels.c, board_absences.c
    same = {
        a.board_id: board.id,
        a.by: BY_SEGMENT,
        a.reason: LEFT_OUT,
        a.actor: ACTOR,
        a.created_at: tx.now,
    }
    values = [literal(value, column.type) for column, value in same.items()]
    where = t.community_id == board.community_id, t.kind == SEGMENT, t.value.in_(board.excluded_segments)
    # Once each, however many of the segments they are in.
    found = select(t.community_id, t.member_id, *values).where(*where).distinct()
    columns = ["community_id", "member_id", *(column.key for column in same)]
    await tx.execute(insert(board_absences).from_select(columns, found))
