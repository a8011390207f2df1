"""Who is on no board, or not on one: a member's own wish, an operator's, or because of what the member is.

Scores go on being counted, so that who comes back stands where their entries say. Nobody posts to the boards' units
while somebody goes or comes: a posting either sees it, or is seen by it.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from kit import copies
from kit.contracts import Envelope
from kit.contracts.members import MemberChanged
from kit.copies import KnownMember
from kit.database import Tx
from services.rewards.domain.boards import Moved, Slot, slot_of
from services.rewards.handlers import seating
from services.rewards.handlers.boards import count_ranks, is_away
from services.rewards.store import boards as boards_store
from services.rewards.store import ledger as ledger_store
from services.rewards.store import shown as store
from services.rewards.store.shown import ABSENT, BY_KIND, EVERY_BOARD, GONE, SHOWN, Absence, Standing


class Change(NamedTuple):
    """`away`: off the board (or EVERY_BOARD), for this reason; else that reason holds no more, others may."""

    member_id: UUID
    board_id: str
    by: str
    away: bool
    reason: str
    actor: str


async def change(tx: Tx, community_id: UUID, changes: Sequence[Change]) -> None:
    """Take members off boards or put them back, in every period. In periods that are closed their lines are kept, and
    part of the hash; who was not on one when it was closed does not come onto it."""
    boards = {board.id: board for board in await boards_store.boards_of(tx, community_id)}
    if boards:
        await ledger_store.count_followers(tx, community_id, dict.fromkeys({b.unit for b in boards.values()}, 0))
    gone = [Absence(community_id, c.member_id, c.board_id, c.by, c.reason, c.actor, tx.now) for c in changes if c.away]
    await store.add_absences(tx, gone)
    ended: dict[tuple[str, str], list[UUID]] = {}
    for c in changes:
        if not c.away:
            ended.setdefault((c.board_id, c.by), []).append(c.member_id)
    for (board_id, by), members in ended.items():
        await store.remove_absences(tx, community_id, members, board_id, by)
    who = sorted({c.member_id for c in changes})
    away = await store.absent(tx, [(community_id, member_id) for member_id in who])
    there = await store.standings(tx, community_id, who)
    moved = [
        (one, hidden)
        for one in there
        if (hidden := _hidden(one, is_away(boards[one.board_id], one.member_id, away))) != one.hidden
    ]
    await count_ranks(tx, [Moved(one.slot, _ranked(one, one.hidden), _ranked(one, hidden)) for one, hidden in moved])
    scores = {(o.slot, o.member_id): boards_store.Score(o.score, o.reached_at, hidden) for o, hidden in moved}
    await boards_store.put_scores(tx, scores)
    back = [one for one, hidden in moved if hidden == SHOWN and not one.closed]
    await _seat(tx, [(slot, one) for one in back if (slot := slot_of(boards[one.board_id], one.kind, one.first_day))])


async def _seat(tx: Tx, back: Sequence[tuple[Slot, Standing]]) -> None:
    """Who was off the board when they first scored has no place in its league yet."""
    playing = [(slot, one) for slot, one in back if slot.league is not None]
    first = {(slot.id, one.member_id): one.reached_at for slot, one in playing}
    await seating.seat(tx, {slot.id: slot for slot, _ in playing}, first)


def _hidden(one: Standing, away: bool) -> int:
    if not one.closed:
        return ABSENT if away else SHOWN
    if one.hidden == ABSENT:
        return ABSENT
    return GONE if away else SHOWN


def _ranked(one: Standing, hidden: int) -> int | None:
    return one.score if hidden == SHOWN else None


async def follow_members(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """Bots and who was erased are on no board. What is known of them now counts, not what the batch says."""
    pairs = sorted({(e.event.community_id, e.event.member_id) for e in batch})
    known = await copies.known_members_of(tx, pairs)
    there = await store.absent_by(tx, pairs, BY_KIND)
    wrong: dict[UUID, list[Change]] = {}
    for community_id, member_id in pairs:
        member = known.get((community_id, member_id))
        away = member is not None and _is_no_person(member)
        if away != ((community_id, member_id, EVERY_BOARD) in there):
            reason = "a bot" if member is not None and member.kind == "bot" else "erased"
            step = Change(member_id, EVERY_BOARD, BY_KIND, away, reason, "guildhall")
            wrong.setdefault(community_id, []).append(step)
    for community_id, changes in wrong.items():
        await change(tx, community_id, changes)


def _is_no_person(member: KnownMember) -> bool:
    return member.kind == "bot" or member.state == "erased"
