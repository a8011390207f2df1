"""Boards kept with the ledger, in the transaction that posts: scores, who reached them when, the histogram of ranks.

A score counts the entries by their own day, so a late event changes the board of its day, until that is finalised
(`handlers.finalising`). `reached_at` is the latest `effective_at` among the entries that make up the score and were not
taken back: the order of arrival does not matter.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from kit import copies, outbox
from kit.clock import uuid7
from kit.contracts.members import STAFF
from kit.contracts.rewards import BoardLed
from kit.database import Tx
from kit.days import local_day
from kit.errors import BadRequest, Conflict, NotFound, Unprocessable
from services.rewards.domain.boards import (
    COMPETITION,
    Board,
    Contribution,
    Moved,
    Slot,
    bucket_changes,
    histogram_changes,
    season_slot,
    slots_of,
)
from services.rewards.domain.decay import DECAY
from services.rewards.domain.ledger import MOST
from services.rewards.domain.seasons import SEASON, SEASONS_MOST, Season
from services.rewards.handlers import fading, seating
from services.rewards.store import boards as store
from services.rewards.store import filling, segments, shown
from services.rewards.store import ledger as ledger_store

USUAL_PERIODS = ("day", "week", "month", "all")
# Of contribution no week: a leader is announced by the week, and one of each is enough.
_DEFAULTS = ("xp", "Experience", USUAL_PERIODS), ("contribution", "Stars of the month", ("month", "all"))
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
    counting = {
        at: [slot for board in boards.get(at[:2], ()) for slot in slots_of(board, at[2])]
        for at in {(c.community_id, c.unit, c.day) for c in contributions}
    }
    closed = await _closed(tx, contributions, counting)
    change: dict[store.Key, int] = {}
    latest: dict[store.Key, Contribution] = {}
    taken_back: set[store.Key] = set()
    history: dict[UUID, bool] = {}
    for c in contributions:
        for slot in counting[c.community_id, c.unit, c.day]:
            if slot.id in closed:
                continue
            slots[slot.id] = slot
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
    away = await shown.absent(tx, {(slots[slot].board.community_id, member) for slot, member in change})
    fading_too = fading.fading(slots, change)
    before = await store.scores(tx, [*change, *fading_too])
    after = await _after(tx, slots, change, latest, taken_back, before)
    after |= await fading.after(tx, slots, fading_too, taken_back, before, after)
    seen = {key: _seen(slots[key[0]].board, key[1], new, away) for key, new in after.items()}
    await _write(tx, before, seen)
    came = {key for key, score in seen.items() if key not in before and _ranked(score) is not None}
    await seating.seat(tx, slots, seating.first_scores(slots, came, contributions, counting))
    await _announce_leaders(tx, slots, history, latest)


async def _closed(
    tx: Tx, contributions: Sequence[Contribution], counting: Mapping[tuple[UUID, str, date], Sequence[Slot]]
) -> set[UUID]:
    """Those of the periods that are finalised, or about to be: they change no more, but count how many came too late.
    Asked under the lock of the system accounts, which closing takes too."""
    asked = {slot.id for slots in counting.values() for slot in slots if slot.may_be_closed(tx.now)}
    closed = await store.closed(tx, sorted(asked)) if asked else set()
    if closed:
        late = Counter(s.id for c in contributions for s in counting[c.community_id, c.unit, c.day] if s.id in closed)
        await store.count_late(tx, late)
    return closed


def _seen(board: Board, member_id: UUID, new: store.Score | None, away: set[shown.Absent]) -> store.Score | None:
    hidden = shown.ABSENT if is_away(board, member_id, away) else shown.SHOWN
    return new._replace(hidden=hidden) if new is not None else None


def is_away(board: Board, member_id: UUID, away: Collection[shown.Absent]) -> bool:
    """Whether these absences keep the member off the board."""
    return any((board.community_id, member_id, id) in away for id in (board.id, shown.EVERY_BOARD))


async def _after(
    tx: Tx,
    slots: Mapping[UUID, Slot],
    change: dict[store.Key, int],
    latest: dict[store.Key, Contribution],
    taken_back: set[store.Key],
    before: dict[store.Key, store.Score],
) -> dict[store.Key, store.Score | None]:
    """The scores afterwards; None for a member of whose score nothing is left."""
    recomputed = await store.reached(tx, taken_back, slots) if taken_back else {}
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
    await count_ranks(tx, [Moved(key[0], _ranked(before.get(key)), _ranked(new)) for key, new in after.items()])


def _ranked(score: store.Score | None) -> int | None:
    return None if score is None or score.hidden != shown.SHOWN else score.score


async def count_ranks(tx: Tx, moves: Sequence[Moved]) -> None:
    """Bring the histogram up to these moves of members who are shown."""
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


def check_kept(board: Board, kind: str) -> None:
    """NotFound for a kind of period that the board does not keep."""
    if kind == DECAY and board.decay is None:
        raise NotFound("the scores of this board do not decay", code="period_not_kept")
    if kind != DECAY and kind not in board.periods:
        raise NotFound(f"this board keeps {', '.join(board.periods)}", code="period_not_kept")


async def create(tx: Tx, board: Board) -> Board:
    """A new board, filled with what the entries say; Conflict when there is one of that id.

    Postings in its unit wait until it is done: it misses none and counts none twice. Leaders of past weeks are not
    announced, and periods that are over are never finalised. The time grows with the number of entries in the unit
    (docs/rewards.md has figures).
    """
    if board.unit not in await ledger_store.units_of(tx, board.community_id):
        raise Unprocessable(f"there is no unit {board.unit!r}; see GET /v1/units", code="unit_unknown")
    board = replace(board, since=await today(tx, board.community_id))
    await segments.hold_alone(tx, board.community_id)
    await ledger_store.count_followers(tx, board.community_id, {board.unit: 1})
    if not await store.add_boards(tx, [board]):
        raise Conflict(f"there is a board {board.id!r} already", code="board_exists")
    await segments.leave_out(tx, board)
    days = await filling.days_with_entries(tx, board.community_id, board.unit)
    slots = {slot.id: slot for day in days for slot in slots_of(board, day)}
    await store.add_periods(tx, slots.values())
    await filling.fill(tx, board, list(slots.values()), days)
    return board


async def delete(tx: Tx, community_id: UUID, board_id: str) -> None:
    """The board is gone at once; its rows go bit by bit afterwards (`purge`)."""
    board = await find(tx, community_id, board_id)
    await ledger_store.count_followers(tx, community_id, {board.unit: -1})
    await store.remove_board(tx, board)
    await shown.remove_absences_from(tx, community_id, board_id)


async def today(tx: Tx, community_id: UUID) -> date:
    """The community's day; that of UTC for one not heard of yet."""
    place = await copies.known_community(tx, community_id)
    return local_day(tx.now, place.zone, place.day_start) if place else local_day(tx.now, "UTC", 0)


async def add_season(tx: Tx, community_id: UUID, board_id: str, season: Season) -> tuple[Board, bool]:
    """The board with this season, filled from the entries there are, and whether that is news.

    Conflict for days that are in another season, or other days under a key there is: what was counted stays. Postings
    in the board's unit wait meanwhile.
    """
    if season.last_day < season.first_day:
        raise Unprocessable("a season ends on the day it begins or later", code="season_ends_early")
    board = await find(tx, community_id, board_id)
    check_kept(board, SEASON)
    await ledger_store.count_followers(tx, community_id, {board.unit: 0})
    # Once more, under the lock: of two that add seasons at the same time the second sees the first one's.
    board = await find(tx, community_id, board_id)
    if season in board.seasons:
        return board, False
    for one in board.seasons:
        if one.key == season.key or (one.first_day <= season.last_day and season.first_day <= one.last_day):
            days = f"from {one.first_day} to {one.last_day}"
            raise Conflict(f"the season {one.key!r} goes {days}; seasons stay as they are", code="season_taken")
    if len(board.seasons) >= SEASONS_MOST:
        raise Unprocessable(f"a board has at most {SEASONS_MOST} seasons", code="too_many_seasons")
    board = replace(board, seasons=tuple(sorted([*board.seasons, season], key=lambda one: one.first_day)))
    await store.set_seasons(tx, board)
    slot = season_slot(board, season)
    days_posted = await filling.days_with_entries(tx, community_id, board.unit)
    counted = [day for day in days_posted if season.first_day <= day <= season.last_day]
    if counted:
        await store.add_periods(tx, [slot])
        await filling.fill(tx, board, [slot], counted)
    return board, True


async def add_defaults(tx: Tx, community_id: UUID) -> None:
    """The boards `xp` and `contribution` that every community begins with (after `segments.hold_alone`). Its staff may
    have been heard of before them."""
    since = await today(tx, community_id)
    for unit, name, periods in _DEFAULTS:
        board = Board(community_id, unit, uuid7(tx.now), name, unit, COMPETITION, periods, tx.now)
        board = replace(board, since=since, excluded_segments=(STAFF,))
        if await store.add_boards(tx, [board]):
            await segments.leave_out(tx, board)
            await ledger_store.count_followers(tx, community_id, {board.unit: 1})
