"""What was said before: by the same, by others, with a word or two changed; by the hashes that the door makes."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.texts.reading import reduced
from services.events.texts.similarity import Pieces, distance, similarity
from services.rewards.domain.signal_rows import MOST_COPIES, MOST_TEXTS, NEAR
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.rewards.signals.support import said, values, watching
from tests.support.databases import MakeDatabase

PIECES = Pieces(b"k" * 32)
NEWS = "今天的读书打卡已经开始了，请大家在晚上十点之前完成，谢谢大家的支持和配合，我们一起把这本书读完！"
RULES = "Please read the new house rules before you post here, and tell everybody who has not seen them yet, thanks!"
ENGLISH = ("quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "nobody", "village", "looks", "books")
CHINESE = "读书打卡今天完成请大家一起加油明天继续老师同学朋友问题答案学习时间地方我们他们可以应该什么怎么为什么因为所以"


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(*watching("signals.similar", "signals.copied"))
    return guild


def write(guild: Guild, text: str, by: str = "ann", **fields: Any) -> Any:
    """What the door hands on of it."""
    return guild.act(by=by, data=reduced({"text": text}, PIECES), **fields)


@pytest.mark.parametrize("text", [NEWS, RULES])
async def test_a_text_that_is_posted_again_with_a_change_is_similar_and_from_others_copied(
    guild: Guild, text: str
) -> None:
    first, again = write(guild, text), write(guild, text + "!!")
    other, own = write(guild, text.replace("大家", "各位").upper(), by="bob"), write(guild, text[:-1], by="ann")
    await guild.score(first, again, write(guild, "Does anybody play chess at the weekend, somewhere in the park?"))
    await guild.score(other, own)
    assert await said(guild, first, again, other, own) == [
        {"signals.similar": n, "signals.copied": m} for n, m in ((0, 0), (1, 0), (0, 2), (2, 1))
    ]


async def test_after_a_week_it_may_be_said_again_and_of_a_flood_the_latest_count(guild: Guild) -> None:
    await guild.score(write(guild, NEWS))
    later = [write(guild, NEWS, at=MORNING + timedelta(days=n)) for n in (7, 8)]
    await guild.score(*later)
    assert await values(guild, "signals.similar", *later) == [1, 1], "the second finds the first"
    await guild.score(*[write(guild, RULES) for _ in range(MOST_COPIES + 20)])
    mine, theirs = write(guild, RULES), write(guild, RULES, by="bob")
    await guild.score(mine, theirs)
    assert await said(guild, mine, theirs) == [
        {"signals.similar": MOST_TEXTS, "signals.copied": 0},
        {"signals.similar": 0, "signals.copied": MOST_COPIES},
    ]


async def test_short_texts_have_no_hash_and_nonsense_is_none(guild: Guild) -> None:
    some = [write(guild, "谢谢"), write(guild, "谢谢")]
    odd = [guild.act(data={"similarity": said}) for said in ("x" * 16, 7, "12", "-00000000000001a", None)]
    await guild.score(*some, *odd)
    assert {n for one in await said(guild, *some, *odd) for n in one.values()} == {0}


@settings(max_examples=25, derandomize=True)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("language", ["English", "Chinese"])
def test_a_character_changed_anywhere_leaves_almost_any_text_near(seed: int, language: str) -> None:
    dice = Random(seed)
    if language == "English":
        text = " ".join(dice.choice(ENGLISH) + dice.choice(["", "s", "ing", "ly"]) for _ in range(40))
    else:
        text = "".join(dice.choice(CHINESE) for _ in range(120))
    changed = [
        text[:at] + dice.choice(["", "x", "变", text[at] * 2]) + text[at + 1 :]
        for at in (dice.randrange(len(text)) for _ in range(20))
    ]
    before = similarity(text, PIECES) or ""
    assert sum(distance(before, similarity(one, PIECES) or "") <= NEAR for one in changed) >= 18


@settings(max_examples=60, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_texts_that_have_little_in_common_are_not_near(seed: int) -> None:
    dice = Random(seed)
    alphabets = ("abcdefghijklmnopqrstuvwxyz ", [chr(n) for n in range(0x4E00, 0x5E00)])
    some = ["".join(dice.choice(dice.choice(alphabets[:1] if n % 2 else alphabets[1:])) for _ in range(40))
            for n in range(30)]  # fmt: skip
    hashes = [similarity(text, PIECES) or "" for text in some]
    near = [(a, b) for n, a in enumerate(hashes) for b in hashes[:n] if distance(a, b) <= NEAR]
    assert near == []
