"""Everything that posts at once: nobody waits in a circle, nothing is lost or counted twice."""

import asyncio
import random
from datetime import timedelta

import pytest

from kit.errors import Conflict, Unprocessable
from services.rewards.domain.boards import TIE_POLICIES
from services.rewards.domain.levels import Formula
from services.rewards.handlers import boards, levels
from services.rewards.handlers.adjusting import post_many, reverse
from tests.rewards.boards.support import entry_ids, make_board, page, ranked
from tests.rewards.boards.test_exactness import expected
from tests.rewards.ledger.support import NOON, Place, check_books, make_place, wish
from tests.support.databases import MakeDatabase


@pytest.fixture
async def place(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"), 8)


async def grants(place: Place, dice: random.Random) -> None:
    some = [
        place.grant(dice.choice(place.members), dice.randrange(1, 9), NOON - timedelta(hours=dice.randrange(90)))
        for _ in range(12)
    ]
    await place.give(*some)


async def by_hand(place: Place, dice: random.Random) -> None:
    wishes = [
        wish(dice.choice(place.members), dice.choice((5, -3)), kind=dice.choice(("adjustment", "spend")))
        for _ in range(6)
    ]
    async with place.db.begin() as tx:
        await post_many(tx, place.id, wishes, "operator:o")


async def takes_back(place: Place, dice: random.Random) -> None:
    found = await entry_ids(place.db, place, dice.choice(place.members))
    if not found:
        return
    try:
        async with place.db.begin() as tx:
            await reverse(tx, place.id, dice.choice(found[:4]), amount=None, reason="r", actor="operator:o")
    except (Conflict, Unprocessable):
        return


async def changes_levels(place: Place, dice: random.Random) -> None:
    unit = dice.choice(("xp", "points"))
    try:
        async with place.db.begin() as tx:
            await levels.change(tx, place.id, unit, Formula(dice.randrange(1, 99)), "operator:o")
    except Conflict:
        return


async def test_whatever_posts_at_once_all_ends_and_the_books_and_boards_agree(place: Place) -> None:
    dice = random.Random(3)
    await make_board(place, "early")
    work = [grants] * 40 + [by_hand] * 25 + [takes_back] * 25 + [changes_levels] * 4
    dice.shuffle(work)

    async def makes_a_board(number: int) -> None:
        await make_board(place, f"new{number}", policy=TIE_POLICIES[number])

    async def removes_a_board() -> None:
        await make_board(place, "gone")
        async with place.db.begin() as tx:
            await boards.delete(tx, place.id, "gone")

    running = [one(place, random.Random(n)) for n, one in enumerate(work)]
    for number in range(3):
        running.insert(20 + 25 * number, makes_a_board(number))
    running.insert(50, removes_a_board())
    await asyncio.wait_for(asyncio.gather(*running), 120)

    await check_books(place.db)
    for board, policy in (("early", "competition"), *((f"new{n}", TIE_POLICIES[n]) for n in range(3))):
        for kind in ("all", "day"):
            for key, scores in (await expected(place, kind)).items():
                lines = await page(place, board, kind, key)
                assert [(li.rank, li.member_id, li.score, li.reached_at) for li in lines.items] == ranked(
                    scores, policy
                )
                assert lines.total == len(scores)


async def test_fifty_who_grant_one_key_at_once_pay_it_once(place: Place) -> None:
    grant = place.grant(place.members[0], 7)
    posted = await asyncio.gather(*(place.give(grant) for _ in range(50)))
    assert sum(len(one) for one in posted) == 1
    assert await place.balance(place.members[0]) == 7
    await check_books(place.db)
