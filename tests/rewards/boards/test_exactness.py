"""Whatever is posted and taken back in whatever order: boards and balances are what the entries say."""

from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from kit.days import PERIOD_KINDS
from kit.errors import Conflict, Unprocessable
from services.rewards.domain.boards import TIE_POLICIES, key_of
from services.rewards.handlers.adjusting import post_many, reverse
from services.rewards.store import entries as reading
from services.rewards.tables.ledger import entries
from tests.rewards.boards.support import make_board, page, ranked
from tests.rewards.ledger.support import NOON, Place, check_books, make_place, wish
from tests.support.databases import MakeDatabase

_grant = st.tuples(st.just("grant"), st.integers(0, 4), st.integers(-3, 400).filter(bool), st.integers(0, 60))
_by_hand = st.tuples(st.sampled_from(["adjustment", "spend"]), st.integers(0, 4), st.integers(-9, 9).filter(bool))
_reversal = st.tuples(st.just("reverse"), st.integers(0, 30), st.none() | st.integers(1, 5))
_batch = st.lists(_grant, min_size=1, max_size=6)
_plan = st.lists(_batch | st.lists(_by_hand, min_size=1, max_size=4) | _reversal, min_size=1, max_size=12)


async def play(place: Place, plan: list[Any]) -> None:
    """Grants in batches, entries by hand in batches, reversals of whatever was posted so far."""
    for step in plan:
        if isinstance(step, tuple):
            await _take_back(place, step[1], step[2])
        elif step[0][0] == "grant":
            grants = [place.grant(place.members[n], a, NOON - timedelta(hours=7 * h)) for _, n, a, h in step]
            await place.give(*grants)
        else:
            wishes = [
                wish(place.members[n], -abs(a) if kind == "spend" else a, kind=kind, allow_negative=kind != "spend")
                for kind, n, a in step
            ]
            async with place.db.begin() as tx:
                await post_many(tx, place.id, wishes, "operator:o")


async def _take_back(place: Place, which: int, amount: int | None) -> None:
    async with place.db.read() as tx:
        where = entries.c.community_id == place.id, entries.c.line == 0
        ids = [r.transaction_id for r in await tx.all(select(entries.c.transaction_id).where(*where))]
    if not ids:
        return
    # Taken back already, more than is left, a reversal itself: nothing happens then, which the books will show.
    with suppress(Conflict, Unprocessable):
        async with place.db.begin() as tx:
            await reverse(tx, place.id, sorted(ids)[which % len(ids)], amount=amount, reason="r", actor="operator:o")


async def expected(place: Place, kind: str) -> dict[str, list[tuple[int, datetime, UUID]]]:
    """Period key → (score, reached_at, member), from the entries alone, read one by one."""
    async with place.db.read() as tx:
        rows = await tx.all(select(entries).where(entries.c.community_id == place.id, entries.c.scored > 0))
    scores: dict[tuple[str, UUID], int] = defaultdict(int)
    reached: dict[tuple[str, UUID], datetime] = {}
    for row in rows:
        at = key_of(kind, row.day), row.owner_id
        scores[at] += row.amount
        if row.scored == 1 and row.reversed < abs(row.amount):
            reached[at] = max(reached.get(at, row.effective_at), row.effective_at)
    out: dict[str, list[tuple[int, datetime, UUID]]] = defaultdict(list)
    for (key, member), when in reached.items():
        out[key].append((scores[key, member], when, member))
    return out


@pytest.fixture
async def home(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


@settings(max_examples=25)
@given(plan=_plan, policy=st.sampled_from(TIE_POLICIES))
async def test_every_board_is_what_its_entries_say_in_every_period(home: Place, plan: list[Any], policy: str) -> None:
    place = await make_place(home.db, 5)
    await make_board(place, policy=policy)
    await play(place, plan)
    await make_board(place, "late", policy=policy)
    for kind in PERIOD_KINDS:
        for key, scores in (await expected(place, kind)).items():
            wanted = ranked(scores, policy)
            for board in ("b", "late"):
                lines = await page(place, board, kind, key)
                assert [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items] == wanted
                assert lines.total == len(wanted)
    await check_books(place.db)


@settings(max_examples=25)
@given(plan=_plan)
async def test_balances_are_the_replay_of_the_entries_and_everything_sums_to_nothing(
    home: Place, plan: list[Any]
) -> None:
    place = await make_place(home.db, 5)
    await play(place, plan)
    async with place.db.read() as tx:
        rows = await tx.all(select(entries).where(entries.c.community_id == place.id))
        system = {r.name: r.balance for r in await reading.system_balances(tx, place.id) if r.unit == "points"}
    replayed: dict[UUID, int] = defaultdict(int)
    per_transaction: dict[UUID, int] = defaultdict(int)
    for row in rows:
        replayed[row.owner_id] += row.amount
        per_transaction[row.transaction_id] += row.amount
    assert set(per_transaction.values()) <= {0}
    for member in place.members:
        assert await place.balance(member) == replayed[member]
    assert sum(system.values()) + sum(replayed[m] for m in place.members) == 0
    spent = [-r.amount for r in rows if r.line == 0 and r.scored == 0]
    assert system["burn"] == sum(spent)
    await check_books(place.db)
