"""Posters of months: what a member's month came to, on paper."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from kit.errors import NotFound
from services.rewards.domain.paper import Paper
from services.rewards.domain.posters import MOST_NAMED, MOST_UNITS, Poster, paper
from services.rewards.drawing import draw
from services.rewards.drawing.sheet import HEIGHT, WIDTH
from services.rewards.handlers import posters
from tests.rewards.badges.support import badge, bare, define
from tests.rewards.badges.test_certificates import text_of
from tests.rewards.badges.test_measured import check_in, give, grant, revoke
from tests.rewards.guild import MORNING, Guild
from tests.rewards.serving import Rewards
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

CODE = "0123456789abcdef" * 2
LINK = f"https://guild.example/v1/badges/posters/{CODE}"
GROUPED = "0123-4567-89ab-cdef-0123-4567-89ab-cdef"
NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)
DAY = timedelta(days=1)


def poster(**fields: Any) -> Paper:
    values: dict[str, Any] = {
        "community": "The Reading Guild",
        "member": "王小明",
        "month": NOVEMBER,
        "points": (("Points", 1234), ("Experience", -5)),
        "checkins": 21,
        "streak": 12,
        "badges": ("One week", "Helper"),
        "locale": "en",
        **fields,
    }
    return paper(Poster(**values), code=CODE, link=LINK)


async def of_ann(guild: Guild, month: date = NOVEMBER) -> Poster:
    async with guild.db.read() as tx:
        return await posters.of_member(tx, guild.id, guild.member("ann"), month, locale=None)


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await bare(await make_database("rewards"))
    await guild.know("ann", display_name="Ann")
    return guild


def test_a_poster_says_what_the_month_came_to() -> None:
    assert text_of(draw(poster(), "pdf")) == [
        "The Reading Guild", "November 2026", "王小明", "Check-ins: 21", "Longest streak: 12", "Points: +1,234",
        "Experience: -5", "Badges: One week, Helper", f"Verification code: {GROUPED}", LINK,
    ]  # fmt: skip
    assert text_of(draw(poster(locale="zh-CN", points=(("积分", 7),)), "pdf"))[1:] == [
        "2026年11月", "王小明", "签到：21 次", "最长连续：12 次", "积分：+7", "徽章：One week、Helper",
        f"验证码: {GROUPED}", LINK,
    ]  # fmt: skip


def test_of_what_there_was_nothing_it_says_nothing() -> None:
    empty = poster(points=(), checkins=0, streak=0, badges=())
    assert [line.text for line in empty.lines[3:-2]] == ["A quiet month"]


def test_however_much_there_is_it_stays_on_the_sheet_and_is_bounded() -> None:
    full = poster(points=tuple((f"Unit {n}", n) for n in range(1, 40)), badges=tuple(f"B{n}" for n in range(9)))
    assert len(full.lines) == 3 + 2 + MOST_UNITS + 1 + 2
    assert full.lines[-3].text.endswith(f"B{MOST_NAMED - 1}, and 3 more")
    assert max(line.at for line in full.lines) < HEIGHT - 70
    ends = [line.at for line in full.lines]
    assert all(below - above > line.size for above, below, line in zip(ends, ends[1:], full.lines[1:], strict=False))


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_the_same_month_is_the_same_file(format: Any) -> None:
    assert draw(poster(), format) == draw(poster(), format) != draw(poster(streak=13), format)


# What a month came to


async def test_a_month_has_what_was_earned_in_its_days_and_not_what_was_spent(guild: Guild) -> None:
    await give(guild, 100)
    await guild.give(guild.grant(guild.member("ann"), 30), guild.grant(guild.member("ann"), 7, unit="xp"))
    await guild.give(guild.grant(guild.member("ann"), 5, MORNING - 30 * DAY))
    await give(guild, -20, kind="spend")
    assert dict((await of_ann(guild)).points) == {"Points": 130, "Experience": 7}
    assert dict((await of_ann(guild, OCTOBER)).points) == {"Points": 5}


async def test_check_ins_and_the_streak_are_those_of_its_days(guild: Guild) -> None:
    # From the 27th of October to the 3rd of November, and today.
    await check_in(guild, *range(27, 19, -1), 0, import_name="qq")
    found = await of_ann(guild)
    assert (found.checkins, found.streak) == (4, 8)
    before = await of_ann(guild, OCTOBER)
    assert (before.checkins, before.streak) == (5, 5)


async def test_badges_are_those_granted_in_it_that_were_not_taken_back(guild: Guild, clock: ManualClock) -> None:
    some = [badge(id, what="hand") for id in ("kept", "taken", "old")]
    await define(guild, *some, badge("over", what="hand", kind="expiring", expires_after_days=1))
    await grant(guild, "over", MORNING - 9 * DAY)
    await grant(guild, "kept", datetime(2026, 11, 1, tzinfo=UTC))
    await grant(guild, "taken")
    await revoke(guild, "taken")
    await grant(guild, "old", datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    assert (await of_ann(guild)).badges == ("Kept", "Over")
    assert (await of_ann(guild, OCTOBER)).badges == ("Old",)


async def test_what_others_did_is_not_on_it(guild: Guild) -> None:
    other = await bare(guild.db)
    await guild.give(guild.grant(guild.member("bob"), 5))
    await other.give(other.grant(guild.member("ann"), 9))
    await check_in(guild, 0, by="bob")
    found = await of_ann(guild)
    assert (found.points, found.checkins, found.badges) == ((), 0, ())


# Over HTTP


async def test_a_member_has_their_own_posters_and_nobody_elses(rewards: Rewards) -> None:
    await rewards.guild.know("ann", display_name="王小明", locale="zh-CN")
    url = f"/v1/badges/members/{rewards.guild.member('ann')}/posters/2026-11"
    ann, bob = await rewards.member("ann"), await rewards.member("bob")
    reply = await ann.get(url)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(reply.content)).size == (2 * WIDTH, 2 * HEIGHT)
    assert (await bob.get(url)).json()["code"] == "not_yours"
    written = await rewards.client.get(url, params={"format": "pdf"})
    assert (written.status_code, written.headers["content-type"]) == (200, "application/pdf")
    *said, code, link = text_of(written.content)
    assert said == ["Guild", "2026年11月", "王小明", "平静的一个月"]
    plain = code.removeprefix("验证码: ").replace("-", "")
    assert link == f"http://rewards.example/v1/badges/posters/{plain}"


@pytest.mark.parametrize(
    ("month", "answer"),
    [
        ("2026-12", (422, "month_in_future")), ("9999-12", (422, "month_in_future")), ("1000-01", (200, "")),
        ("2026-13", (422, "validation_failed")), ("0000-01", (422, "validation_failed")),
    ],
)  # fmt: skip
async def test_a_month_that_is_none_or_yet_to_come_is_refused(
    rewards: Rewards, month: str, answer: tuple[int, str]
) -> None:
    await rewards.guild.know("ann")
    reply = await rewards.client.get(f"/v1/badges/members/{rewards.guild.member('ann')}/posters/{month}")
    assert (reply.status_code, reply.json()["code"] if reply.status_code != 200 else "") == answer


async def test_who_was_erased_has_no_poster_and_who_is_unknown_neither(rewards: Rewards) -> None:
    url = f"/v1/badges/members/{rewards.guild.member('ann')}/posters/2026-11"
    assert await rewards.refused("GET", url) == (404, "member_unknown")
    await rewards.guild.know("ann", state="erased")
    assert await rewards.refused("GET", url) == (404, "poster_unknown")


# Verified


async def code_on(rewards: Rewards, name: str = "ann", month: str = "2026-11", **params: str) -> str:
    url = f"/v1/badges/members/{rewards.guild.member(name)}/posters/{month}"
    reply = await rewards.client.get(url, params={"format": "pdf", "locale": "en", **params})
    assert reply.status_code == 200, reply.text
    return text_of(reply.content)[-1].rpartition("/")[2]


async def test_whoever_has_the_code_is_told_what_the_poster_says_by_now(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.know("ann", display_name="Ann")
    await give(guild, 100)
    code = await code_on(rewards)
    anybody = {"Authorization": ""}
    for typed in (code, code.upper(), "-".join(code[n : n + 4] for n in range(0, 32, 4))):
        reply = await rewards.client.get(f"/v1/badges/posters/{typed}", headers=anybody)
        assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
        assert reply.json() == {
            "community": "Guild", "member": "Ann", "month": "2026-11", "checkins": 0, "streak": 0,
            "points": [{"unit": "Points", "amount": 100}], "badges": [], "more_badges": 0,
        }  # fmt: skip
    await give(guild, -30)
    found = await rewards.get(f"/v1/badges/posters/{code}")
    assert found["points"] == [{"unit": "Points", "amount": 70}]


async def test_a_poster_has_one_code_for_ever_and_no_two_have_the_same(rewards: Rewards) -> None:
    for name in ("ann", "bob"):
        await rewards.guild.know(name, display_name=name)
    first = [await code_on(rewards, locale=locale) for locale in ("en", "zh-CN")]
    assert first[0] == first[1]
    others = [await code_on(rewards, "bob"), await code_on(rewards, month="2026-10")]
    assert len({first[0], *others}) == 3


async def test_twenty_who_ask_for_a_code_at_once_have_the_same(guild: Guild) -> None:
    asking = (posters.code_of(guild.db, guild.id, guild.member("ann"), NOVEMBER) for _ in range(20))
    assert len(set(await asyncio.gather(*asking))) == 1


async def test_a_code_of_nothing_and_of_who_was_erased_verify_nothing(rewards: Rewards) -> None:
    await rewards.guild.know("ann", display_name="Ann")
    code = await code_on(rewards)
    assert await rewards.refused("GET", f"/v1/badges/posters/{'0' * 32}") == (404, "poster_unknown")
    assert (await rewards.refused("GET", "/v1/badges/posters/x"))[0] == 422
    await rewards.guild.know("ann", state="erased", version=2)
    assert await rewards.refused("GET", f"/v1/badges/posters/{code}") == (404, "poster_unknown")
    with pytest.raises(NotFound):
        await posters.code_of(rewards.guild.db, rewards.guild.id, rewards.guild.member("ann"), OCTOBER)
