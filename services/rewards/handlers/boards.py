"""Boards kept with the ledger, in the transaction that posts: scores, who reached them when, the histogram of ranks.

A score counts the entries by their own day, so a late event changes the board of its day. `reached_at` is the latest
`effective_at` among the entries that make up the score and were not taken back: the order of arrival does not matter.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from kit import outbox
from kit.clock import uuid7
from kit.contracts.rewards import BoardLed
from kit.database import Tx
from kit.days import PERIOD_KINDS
from kit.errors import BadRequest, Conflict, NotFound, Unprocessable
from services.rewards.domain.boards import (
    COMPETITION,
    Board,
    Contribution,
    Moved,
    Slot,
    bucket_changes,
    histogram_changes,
    slots_of,
)
from services.rewards.domain.ledger import MOST
from services.rewards.store import boards as store
from services.rewards.store import ledger as ledger_store

LED_PERIOD = "week"
"""The kind of period whose leaders are announced."""


async def count(tx: Tx, contributions: Sequence[Contribution]) -> None:
    """Bring the boards up to these entries and announce who came first in a week.

    The caller holds the members' accounts; the entries (and what reversals noted on them) are written already.
    """
    if not contributions:
        return
    boards = await store.boards_on(tx, {(c.community_id, c.unit) for c in contributions})
    slots: dict[UUID, Slot] = {}
    counting: dict[tuple[UUID, str, date], list[Slot]] = {}
    change: dict[store.Key, int] = {}
    latest: dict[store.Key, Contribution] = {}
    taken_back: set[store.Key] = set()
    history: dict[UUID, bool] = {}
    for c in contributions:
        at = c.community_id, c.unit, c.day
        if at not in counting:
            counting[at] = [s for board in boards.get(at[:2], ()) for s in slots_of(board, c.day)]
            slots.update((slot.id, slot) for slot in counting[at])
        for slot in counting[at]:
            key = slot.id, c.member_id
            change[key] = change.get(key, 0) + c.amount
            history[slot.id] = history.get(slot.id, True) and c.history
            if c.taken_back:
                taken_back.add(key)
            elif key not in latest or latest[key].effective_at < c.effective_at:
                latest[key] = c
    if not change:
        return
    await store.add_periods(tx, slots.values())
    before = await store.scores(tx, list(change))
    after = await _after(tx, change, latest, taken_back, before)
    await _write(tx, before, after)
    await _announce_leaders(tx, slots, history, latest)


async def _after(
    tx: Tx,
    change: dict[store.Key, int],
    latest: dict[store.Key, Contribution],
    taken_back: set[store.Key],
    before: dict[store.Key, store.Score],
) -> dict[store.Key, store.Score | None]:
    """The scores afterwards; None for a member of whose score nothing is left."""
    recomputed = await store.reached(tx, list(taken_back)) if taken_back else {}
    out: dict[store.Key, store.Score | None] = {}
    for key, amount in change.items():
        was = before.get(key)
        score = amount + (was.score if was else 0)
        if abs(score) > MOST:
            raise BadRequest(f"a score lies between -{MOST} and {MOST}", code="score_out_of_range")
        if key in taken_back:
            out[key] = store.Score(score, recomputed[key]) if key in recomputed else None
        else:
            reached_at = latest[key].effective_at
            out[key] = store.Score(score, max(reached_at, was.reached_at) if was else reached_at)
    return out


async def _write(tx: Tx, before: dict[store.Key, store.Score], after: dict[store.Key, store.Score | None]) -> None:
    await store.put_scores(tx, {key: new for key, new in after.items() if new is not None and new != before.get(key)})
    await store.remove_scores(tx, [key for key, new in after.items() if new is None and key in before])
    moves = [
        Moved(key[0], before[key].score if key in before else None, new.score if new is not None else None)
        for key, new in after.items()
    ]
    steps = histogram_changes(moves)
    members_after = await store.count_tallies(tx, steps)
    await store.count_buckets(tx, bucket_changes(steps, members_after))


async def _announce_leaders(
    tx: Tx, slots: dict[UUID, Slot], history: dict[UUID, bool], latest: dict[store.Key, Contribution]
) -> None:
    weeks = [slot.id for slot in slots.values() if slot.kind == LED_PERIOD]
    leaders = await store.first_of(tx, weeks)
    new = await store.add_leaders(tx, leaders)
    if not new:
        return
    led = await store.scores(tx, list(new))
    for (slot_id, member_id), score in led.items():
        slot = slots[slot_id]
        event = BoardLed(
            community_id=slot.board.community_id,
            board_id=slot.board.id,
            board_name=slot.board.name,
            period_kind=slot.kind,
            period_key=slot.key,
            member_id=member_id,
            score=score.score,
            history=history[slot_id],
            # Who leads because somebody else lost points did nothing to be named here.
            cause_id=latest[slot_id, member_id].event_id if (slot_id, member_id) in latest else None,
        )
        outbox.add(tx, event)


async def find(tx: Tx, community_id: UUID, board_id: str) -> Board:
    """The board; NotFound when there is none of that id."""
    board = await store.board(tx, community_id, board_id)
    if board is None:
        raise unknown_board(board_id)
    return board


def unknown_board(board_id: str) -> NotFound:
    return NotFound(f"there is no board {board_id!r}; see GET /v1/boards", code="board_unknown")


async def create(tx: Tx, board: Board) -> Board:
    """A new board, filled with what the entries say; Conflict when there is one of that id.

    Postings in its unit wait until it is done: it misses none and counts none twice. Leaders of past weeks are not
    announced. The time grows with the number of entries in the unit (docs/rewards.md has figures).
    """
    if board.unit not in await ledger_store.units_of(tx, board.community_id):
        raise Unprocessable(f"there is no unit {board.unit!r}; see GET /v1/units", code="unit_unknown")
    await ledger_store.count_followers(tx, board.community_id, {board.unit: 1})
    if not await store.add_boards(tx, [board]):
        raise Conflict(f"there is a board {board.id!r} already", code="board_exists")
    days = await store.days_with_entries(tx, board.community_id, board.unit)
    slots = {slot.id: slot for day in days for slot in slots_of(board, day)}
    await store.add_periods(tx, slots.values())
    await store.fill(tx, board, list(slots.values()), days)
    return board


async def delete(tx: Tx, community_id: UUID, board_id: str) -> None:
    """The board is gone at once; its rows go bit by bit afterwards (`purge`)."""
    board = await find(tx, community_id, board_id)
    await ledger_store.count_followers(tx, community_id, {board.unit: -1})
    await store.remove_board(tx, board)


async def add_default(tx: Tx, community_id: UUID) -> None:
    """The board `xp` that every community begins with."""
    board = Board(community_id, "xp", uuid7(tx.now), "Experience", "xp", COMPETITION, PERIOD_KINDS, tx.now)
    if await store.add_boards(tx, [board]):
        await ledger_store.count_followers(tx, community_id, {board.unit: 1})
