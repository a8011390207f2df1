"""Prizes of periods that are final: each once, by rank, whoever is killed or at it at the same time."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kit import copies, outbox
from kit.contracts.rewards import BoardFinalized, PointsAdjusted
from kit.database import Database
from kit.errors import Unprocessable
from services.rewards.domain.boards import Prize
from services.rewards.domain.ledger import MOST
from services.rewards.handlers import prizes
from tests.rewards.boards.support import make_board, shown
from tests.rewards.boards.test_finalising import AT_LAST, Killed, finalize, place, replica, set_clock, told
from tests.rewards.ledger.support import NOON, Place, announced, check_books, member_changed

assert place
assert replica
FIRST = Prize("week", 1, 1, "points", 100)
NEXT = Prize("week", 2, 3, "points", 20)


async def promise(place: Place, *some: Prize) -> None:
    async with place.db.begin() as tx:
        await prizes.put(tx, place.id, "b", some)


async def balances(place: Place) -> list[int]:
    return [await place.balance(member) for member in place.members]


async def ready(place: Place, policy: str = "competition", *, scores: tuple[int, ...] = (9, 7, 7, 5)) -> None:
    await make_board(place, policy=policy, unit="contribution", periods=("all", "week"))
    await promise(place, FIRST, NEXT)
    await place.give(
        *[
            place.grant(place.members[n], score, NOON - timedelta(minutes=n), unit="contribution")
            for n, score in enumerate(scores)
        ]
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("competition", [100, 20, 20, 0]), ("dense", [100, 20, 20, 20]), ("ordinal", [100, 20, 20, 0])],
)
async def test_each_winner_is_paid_by_rank_and_once(place: Place, policy: str, expected: list[int]) -> None:
    await ready(place, policy)
    set_clock(place, AT_LAST)
    assert [await finalize(place), await finalize(place)] == [1, 0]
    assert await balances(place) == [*expected, 0, 0]
    events = await announced(place.db, PointsAdjusted)
    assert {(e.member_id, e.amount) for e in events} == {
        (m, n) for m, n in zip(place.members, expected, strict=False) if n
    }
    assert events[0].reason == "Board, 2026-W48: #1"
    await check_books(place.db)


async def test_prizes_count_on_no_board(place: Place) -> None:
    await make_board(place, periods=("all", "week"))
    await promise(place, FIRST)
    await place.give(place.grant(place.members[0], 5))
    set_clock(place, AT_LAST)
    await finalize(place)
    assert (await place.balance(place.members[0]), await shown(place)) == (105, [(1, 0, 5)])


@pytest.mark.parametrize("at", [BoardFinalized, PointsAdjusted])
async def test_a_process_killed_while_it_pays_has_paid_nobody_and_the_next_pays_all(
    place: Place, monkeypatch: pytest.MonkeyPatch, at: type
) -> None:
    await ready(place)
    set_clock(place, AT_LAST)
    add = outbox.add
    with monkeypatch.context() as patch:

        def kill(tx: Any, event: Any, **more: Any) -> Any:
            if isinstance(event, at):
                raise Killed
            return add(tx, event, **more)

        patch.setattr(outbox, "add", kill)
        with pytest.raises(Killed):
            await finalize(place)
    assert (await balances(place), await told(place)) == ([0] * 6, [])
    assert await finalize(place) == 1
    assert await balances(place) == [100, 20, 20, 0, 0, 0]
    await check_books(place.db)


async def test_two_replicas_pay_each_winner_once_while_others_post(place: Place, replica: Database) -> None:
    await ready(place)
    set_clock(place, AT_LAST)
    other = replace(place, db=replica)

    async def post() -> None:
        for n in range(10):
            late = [place.grant(m, 1, NOON, unit=unit) for m in place.members for unit in ("contribution", "points")]
            await (other if n % 2 else place).give(*late)

    done = await asyncio.gather(finalize(place), finalize(place, replica), finalize(place), post(), post())
    assert sum(n for n in done if n) == 1
    assert len(await told(place)) == 1
    (event,) = await announced(place.db, BoardFinalized)
    won = {e.member_id: e.amount for e in await announced(place.db, PointsAdjusted)}
    assert sum(await balances(place)) == 6 * 20 + sum(won.values())
    assert won[event.first[0].member_id] == 100
    await check_books(place.db)


async def test_a_prize_that_an_account_cannot_hold_keeps_its_period_waiting_and_no_other(place: Place) -> None:
    await ready(place)
    await make_board(place, "other", unit="contribution", periods=("week",))
    await place.give(place.grant(place.members[0], MOST))
    set_clock(place, AT_LAST)
    assert await finalize(place) == 1
    assert [board for board, _, _ in await told(place)] == ["other"]
    await place.give(place.grant(place.members[0], -MOST))
    assert await finalize(place) == 1
    assert await place.balance(place.members[0]) == 100


async def test_who_was_put_out_gets_nothing_and_nobody_gets_it_in_their_place(place: Place) -> None:
    await ready(place)
    gone = replace(member_changed(place.id, place.members[0], "x"), state="banned", version=2)
    async with place.db.begin() as tx:
        await copies.apply(tx, [gone])
    set_clock(place, AT_LAST)
    await finalize(place)
    assert await balances(place) == [0, 20, 20, 0, 0, 0]


async def test_prizes_that_cannot_be_paid_are_refused_with_where_and_why(place: Place) -> None:
    await make_board(place, periods=("all", "week"))
    for wrong, pointer in (
        (Prize("month", 1, 1, "points", 1), "/prizes/1/period"),
        (Prize("all", 1, 1, "points", 1), "/prizes/1/period"),
        (Prize("week", 4, 3, "points", 1), "/prizes/1/rank_to"),
        (Prize("week", 2, 3, "gold", 1), "/prizes/1/unit"),
        (Prize("week", 2, 3, "freezes", 1), "/prizes/1/unit"),
        (Prize("week", 1, 9, "points", 1), "/prizes/1/rank_from"),
    ):
        with pytest.raises(Unprocessable) as refused:
            await promise(place, FIRST, wrong)
        assert (refused.value.code, [error.pointer for error in refused.value.errors]) == ("prize_invalid", [pointer])
    await promise(place, FIRST, Prize("week", 1, 1, "xp", 5), NEXT)
