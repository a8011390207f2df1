"""Prizes of boards: paid in the transaction that makes a period final, each once for (board, period, member)."""

from collections.abc import Container, Sequence
from dataclasses import replace
from uuid import UUID

from kit import outbox
from kit.clock import uuid7
from kit.contracts.rewards import PointsAdjusted
from kit.copies import known_members
from kit.database import Tx
from kit.errors import FieldError, Unprocessable
from services.rewards.domain.boards import ALL, Board, Prize, Slot, ranks
from services.rewards.domain.ledger import FOLLOWS, FREEZES, GRANT, MINT, Posting, digest
from services.rewards.handlers import ledger
from services.rewards.handlers.boards import find, today
from services.rewards.handlers.checking_in import AWAY
from services.rewards.store import boards as store
from services.rewards.store import closing
from services.rewards.store import ledger as ledger_store

WINNERS_MOST = 1_000
"""So many lines of a period are looked at; who ties behind them gets nothing."""


async def put(tx: Tx, community_id: UUID, board_id: str, prizes: Sequence[Prize]) -> Board:
    """What the board pays for periods that become final from now on. Unprocessable names what cannot be."""
    board = await find(tx, community_id, board_id)
    units = await ledger_store.units_of(tx, community_id)
    wrong: list[FieldError] = []
    for number, prize in enumerate(prizes):
        for field, fault in _faults(board, units, prize, prizes[:number]):
            wrong.append(FieldError(f"/prizes/{number}/{field}", "prize_invalid", fault))
    if wrong:
        raise Unprocessable("these prizes cannot be paid; see errors", code="prize_invalid", errors=wrong)
    board = replace(board, prizes=tuple(prizes))
    await store.set_prizes(tx, board)
    return board


def _faults(board: Board, units: Container[str], prize: Prize, before: Sequence[Prize]) -> list[tuple[str, str]]:
    found = []
    if prize.period not in board.periods or prize.period == ALL:
        found.append(("period", "the board keeps no such period that ends"))
    if prize.unit == FREEZES.id:
        found.append(("unit", FOLLOWS))
    elif prize.unit not in units:
        found.append(("unit", "there is no such unit; see GET /v1/units"))
    if prize.rank_to < prize.rank_from:
        found.append(("rank_to", "is before rank_from"))
    for one in before:
        same = (one.period, one.unit) == (prize.period, prize.unit)
        if same and one.rank_from <= prize.rank_to and prize.rank_from <= one.rank_to:
            found.append(("rank_from", "a rank has one prize of a unit"))
    return found


async def pay(tx: Tx, slot: Slot) -> None:
    """Pay what the board promised for a closed period. Before the period's row is touched: whoever posts comes to it
    last."""
    postings = await _postings(tx, slot)
    if not postings:
        return
    done = await ledger.record(tx, postings)
    for p in done.fresh:
        event = PointsAdjusted(
            community_id=p.community_id,
            member_id=p.member_id,
            transaction_id=p.id,
            unit=p.unit,
            amount=p.amount,
            reason=p.reason,
        )
        outbox.add(tx, event)


async def _postings(tx: Tx, slot: Slot) -> list[Posting]:
    board = slot.board
    prizes = [prize for prize in board.prizes if prize.period == slot.kind]
    if not prizes:
        return []
    first = await closing.best(tx, slot.id, WINNERS_MOST)
    places = zip(ranks(board.tie_policy, 1, None, [line.score for line in first]), first, strict=True)
    won = [
        (prize, rank, line.member_id)
        for rank, line in places
        for prize in prizes
        if prize.rank_from <= rank <= prize.rank_to
    ]
    known = await known_members(tx, board.community_id, {member_id for _, _, member_id in won})
    day = await today(tx, board.community_id)
    return [
        Posting(
            id=uuid7(tx.now),
            community_id=board.community_id,
            idem_key=digest("board prize", slot.id, member_id, prize.unit),
            payload_hash=digest(member_id, prize.unit, prize.amount, rank),
            kind=GRANT,
            member_id=member_id,
            counter=MINT,
            unit=prize.unit,
            amount=prize.amount,
            effective_at=tx.now,
            day=day,
            scored=False,
            reason=f"{board.name}, {slot.key}: #{rank}",
            actor="guildhall",
        )
        for prize, rank, member_id in won
        if member_id not in known or known[member_id].state not in AWAY
    ]
