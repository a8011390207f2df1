"""Gaps in a platform's own numbering are seen, and close when what was late arrives (E14)."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.events import GapChanged
from services.events import loops
from services.events.handlers import numbering
from services.events.numbers import FAR, Stream
from tests.events.support import Events, Place, on_the_log
from tests.events.test_connections import connected
from tests.support.http import client_of

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ONE = UUID(int=1)


def missing(numbers: list[int]) -> set[int]:
    stream = Stream(numbers[0], NOW)
    for number in numbers:
        stream.note(number, NOW, ONE)
    return {n for r in stream.missing for n in range(r.first, r.last + 1)}


@given(st.sets(st.integers(1, 60), min_size=2), st.integers())
def test_what_is_missing_is_what_did_not_come_whatever_the_order(came: set[int], seed: int) -> None:
    lowest = min(came)
    rest = [*came, *came]
    random.Random(seed).shuffle(rest)
    assert missing([lowest, *rest]) == set(range(lowest, max(came) + 1)) - came


def test_a_numbering_that_begins_again_is_no_gap() -> None:
    for numbers in ([5000, 5001, 1, 2], [5, 5 + FAR + 1], [7, 7, 6, 5], [900_000, 12, 900_001]):
        assert missing(numbers) == set(), numbers
    assert missing([5000, 5002, 1, 2, 4]) == {5001, 3}


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("connections:write", "events:read", "events:write")


class Bot:
    """A Telegram bot, or a QQ account in one group."""

    def __init__(self, events: Events, place: Place, made: dict[str, Any]) -> None:
        self.events, self.place, self.made = events, place, made
        self.secret = made["secret"]["secrets"]["secret"]

    async def tell(self, body: dict[str, Any]) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.secret, "Authorization": f"Bearer {self.secret}"}
        async with client_of(self.place.client.base_url) as client:
            reply = await client.post(f"/v1/hooks/{self.made['id']}", json=body, headers=headers)
            assert reply.status_code < 300, reply.text

    async def update(self, number: int, message: int = 0, **fields: Any) -> None:
        at = int(self.events.clock().timestamp())
        chat = {"id": -1001, "type": "supergroup"}
        said = {"message_id": message or number, "date": at, "chat": chat, "from": {"id": 7}, "text": "hi"}
        await self.tell({"update_id": number, **(fields or {"message": said})})

    async def qq(self, number: int, user: int = 5, self_id: int = 99) -> None:
        at = int(self.events.clock().timestamp())
        head = {"post_type": "message", "message_type": "group", "sub_type": "normal", "time": at, "group_id": 1}
        said = {"self_id": self_id, "user_id": user, "message_id": 7000 + number, "real_seq": str(number)}
        await self.tell({**head, **said, "message": [{"type": "text", "data": {"text": "hi"}}]})

    async def gaps(self) -> list[tuple[Any, ...]]:
        """After what was heard is written down and a minute has passed, as the loop does it."""
        one = self.events.runtime.services["events"]
        await self.events.settle()
        await loops.write_down(one)
        self.events.clock.advance(timedelta(seconds=61))
        await numbering.tell(one.db, self.events.clock())
        shown = await self.place.get(f"/v1/connections/{self.made['id']}")
        return [(g["kind"], g["stream"], g["first"], g["last"], g["missing"]) for g in shown["gaps"]]


@pytest.fixture
async def telegram(events: Events, place: Place) -> Bot:
    return Bot(events, place, await connected(place, platform="telegram"))


@pytest.fixture
async def account(events: Events, place: Place) -> Bot:
    return Bot(events, place, await connected(place, platform="onebot-v11"))


async def test_missing_updates_are_a_gap_after_a_minute_and_closed_when_they_arrive(telegram: Bot) -> None:
    since = telegram.events.clock()
    await telegram.update(10)
    telegram.events.clock.advance(timedelta(minutes=5))
    await telegram.update(14)
    assert await telegram.gaps() == [("sequence", "updates", 11, 13, 3)]
    shown = (await telegram.place.get(f"/v1/connections/{telegram.made['id']}"))["gaps"][0]
    assert shown["since"] == since.isoformat().replace("+00:00", "Z")
    assert shown["until"] == (since + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    await telegram.update(12)
    assert await telegram.gaps() == [("sequence", "updates", 11, 13, 2)]
    for number in (13, 11, 11):
        await telegram.update(number)
    assert await telegram.gaps() == [("sequence", "updates", 11, 13, 0)]
    await telegram.events.settle()
    told = [e for e in await on_the_log(telegram.events.log, ACTIVITY_TOPIC) if isinstance(e, GapChanged)]
    assert [(g.kind, g.first, g.last, g.missing) for g in told] == [("sequence", 11, 13, 3), ("sequence", 11, 13, 0)]
    assert {g.gap_id for g in told} == {UUID(shown["id"])}


async def test_updates_out_of_order_ignored_ones_and_repeats_are_no_gap(telegram: Bot) -> None:
    for number in (10, 12, 11, 12, 10):
        await telegram.update(number)
    await telegram.update(13, my_chat_member={"chat": {"id": 1}, "from": {"id": 7}, "date": 1})
    await telegram.update(14)
    assert await telegram.gaps() == []


async def test_what_another_bot_told_before_is_not_missing(events: Events, place: Place, telegram: Bot) -> None:
    other = Bot(events, place, await connected(place, platform="telegram", name="other"))
    for bot, first in ((telegram, 10), (other, 500)):
        for step in range(4):
            await bot.update(first + step, message=1 + step)
    assert (await telegram.gaps(), await other.gaps()) == ([], [])
    assert len(await place.timeline()) == 4


async def test_a_new_numbering_after_a_quiet_week_is_no_gap(telegram: Bot) -> None:
    for number in (10, 11, 902_000_000, 902_000_001, 40, 41):
        await telegram.update(number)
        await telegram.events.settle()
    assert await telegram.gaps() == []


async def test_a_qq_account_is_believed_once_it_tells_of_what_it_writes_itself(account: Bot) -> None:
    for number in (1, 3):
        await account.qq(number)
    assert await account.gaps() == [], "2 may be its own"
    await account.qq(4, user=99)
    assert await account.gaps() == []
    for number in (5, 8):
        await account.qq(number)
    assert await account.gaps() == [("sequence", "qq:1", 6, 7, 2)]


async def test_two_accounts_in_a_group_see_together(events: Events, place: Place, account: Bot) -> None:
    other = Bot(events, place, await connected(place, platform="onebot-v11", name="other"))
    await account.qq(1, user=99)
    await other.qq(2, user=98, self_id=98)
    await account.gaps()
    for bot, number in ((account, 3), (other, 3), (other, 4), (account, 5), (other, 6)):
        await bot.qq(number)
    assert (await account.gaps(), await other.gaps()) == ([], [])
    await other.qq(8)
    assert (await account.gaps(), await other.gaps()) == ([], [("sequence", "qq:1", 7, 7, 1)])


async def test_only_one_replica_tells_a_gap_and_what_is_old_is_forgotten(telegram: Bot) -> None:
    await telegram.update(10)
    await telegram.update(13)
    assert len(await telegram.gaps()) == 1
    one = telegram.events.runtime.services["events"]
    assert await numbering.tell(one.db, telegram.events.clock()) == 0
    telegram.events.clock.advance(timedelta(days=40))
    await loops.forget_numbers(one, telegram.events.runtime.stopping)
    assert await telegram.events.rows("sequences") == await telegram.events.rows("missing_numbers") == []
