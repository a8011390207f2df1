"""Segments on boards: who is in one that a board leaves out is not on it, and boards can be narrowed to one.

Whoever changes what a board leaves out waits for those who change who is in which segment, and they for it: neither
misses what the other does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from kit import copies
from kit.contracts import Envelope
from kit.contracts.members import MemberChanged
from kit.database import Tx
from services.rewards.domain.boards import Board
from services.rewards.handlers import absences, boards
from services.rewards.handlers.absences import Change
from services.rewards.store import boards as boards_store
from services.rewards.store import segments as store
from services.rewards.store import shown
from services.rewards.store.segments import ACTOR, LEFT_OUT, Member
from services.rewards.store.shown import BY_SEGMENT

STEP = 500


async def hold(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """What boards leave out stays as it is while members change. Before all else that locks."""
    await store.hold(tx, {e.event.community_id for e in batch})


async def follow_members(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """Into segments and out of them (after `hold`). What is known of members now counts, not what the batch says: it
    may be told once more."""
    pairs = sorted({(e.event.community_id, e.event.member_id) for e in batch})
    known = await copies.known_members_of(tx, pairs)
    before = await store.inside(tx, pairs)
    after = {pair: frozenset(known[pair].segments) for pair in pairs if pair in known}
    moved = {pair: now for pair, now in after.items() if now != before.get(pair, frozenset())}
    if not moved:
        return
    come = {pair: now - before.get(pair, frozenset()) for pair, now in moved.items()}
    gone = {pair: before.get(pair, frozenset()) - now for pair, now in moved.items()}
    await store.change_labels(tx, come, gone)
    for community_id in sorted({community_id for community_id, _ in moved}):
        there = [board for board in await boards_store.boards_of(tx, community_id) if board.excluded_segments]
        await _settle(tx, there, {pair: now for pair, now in moved.items() if pair[0] == community_id})


async def _settle(tx: Tx, there: Sequence[Board], inside: Mapping[Member, frozenset[str]]) -> None:
    """These members are off the boards that leave out one of their segments, and back on the others."""
    off = await shown.absent_by(tx, inside, BY_SEGMENT) if there else set()
    for board in there:
        wrong = {
            member: away
            for (community_id, member), segments in inside.items()
            if (away := not segments.isdisjoint(board.excluded_segments)) != ((community_id, member, board.id) in off)
        }
        await _change(tx, board, wrong.items())


async def _change(tx: Tx, board: Board, wrong: Iterable[tuple[UUID, bool]]) -> None:
    """(member, whether they are off the board from now on)."""
    steps = [Change(member, board.id, BY_SEGMENT, away, LEFT_OUT, ACTOR) for member, away in wrong]
    for start in range(0, len(steps), STEP):
        await absences.change(tx, board.community_id, steps[start : start + STEP])


async def put(tx: Tx, community_id: UUID, board_id: str, segments: Iterable[str]) -> Board:
    """The board leaves out these segments and no others, in every period. Postings in the units of the community's
    boards wait meanwhile."""
    await store.hold_alone(tx, community_id)
    board = await boards.find(tx, community_id, board_id)
    board = replace(board, excluded_segments=tuple(sorted(set(segments))))
    await boards_store.set_excluded_segments(tx, board)
    off = await shown.absences(tx, community_id, board_id=board_id)
    before = {one.member_id for one in off if one.by == BY_SEGMENT}
    after = await store.members_of(tx, community_id, board.excluded_segments)
    await _change(tx, board, [(member, member in after) for member in sorted(before ^ after)])
    return board
