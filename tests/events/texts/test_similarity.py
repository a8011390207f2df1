"""The similarity hash: the same for what reads the same, near for what is near, and nothing to who has no key."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.texts.reading import Readers, distinct, reduced
from services.events.texts.similarity import ROOM, Pieces, distance, similarity

PIECES = Pieces(b"k" * 32)
RULES = "Please read the new house rules before you post here, thanks everybody!"
NEWS = "今天的读书打卡已经开始了，请大家在晚上十点之前完成，谢谢！"


def apart(one: str, other: str) -> int:
    first, second = similarity(one, PIECES), similarity(other, PIECES)
    assert first is not None
    assert second is not None
    return distance(first, second)


@pytest.mark.parametrize(
    "same",
    [RULES.upper(), RULES.replace(" ", "  \n"), RULES.replace("P", "Ｐ")],
)
def test_case_gaps_and_width_make_no_difference(same: str) -> None:
    assert apart(RULES, same) == 0
    assert apart("Day 12 of my challenge", "Day 9 of my challenge") == 0


@pytest.mark.parametrize(
    ("text", "changed"), [(RULES, RULES + " :)"), (RULES, RULES.replace("thanks", "thx")), (NEWS, NEWS + "哈哈")]
)
def test_what_is_nearly_the_same_is_near_and_what_is_not_is_far(text: str, changed: str) -> None:
    assert apart(text, changed) <= 10
    assert apart(text, "明天我们在图书馆见面，记得带上你们的借书证和笔记本") >= 18
    assert apart(text, "Is there anybody who plays chess at the weekend?") >= 18


def test_the_same_text_is_something_else_under_another_key_and_the_same_in_another_process() -> None:
    mine, other = similarity(RULES, PIECES), similarity(RULES, Pieces(b"o" * 32))
    assert similarity(RULES, Pieces(b"k" * 32)) == mine
    assert mine == "d0ab0d4253749da4"
    assert distance(mine or "", other or "") >= 16


@pytest.mark.parametrize("short", ["", "ok", "thanks", "好的谢谢", "1 2 3", "哈" * 50, "lol " * 100])
def test_a_text_of_few_different_pieces_has_none(short: str) -> None:
    assert similarity(short, PIECES) is None


@pytest.mark.parametrize(("text", "count"), [("", 0), ("hahaHA ha", 2), ("好好好", 1), ("a\u200bb\u2060 \n\t", 2)])
def test_what_can_be_seen_of_a_text_is_counted_once(text: str, count: int) -> None:
    assert distinct(text) == count


@given(st.text(max_size=3000))
def test_whatever_is_written_it_is_sixteen_digits_or_nothing(text: str) -> None:
    found = similarity(text, PIECES)
    assert found is None or (len(found) == 16 and int(found, 16) >= 0)


def test_a_long_text_is_counted_like_a_short_one() -> None:
    long = " ".join(f"{RULES} {chr(97 + i) * 5}" for i in range(20))
    assert len(set(long)) < len(long)
    assert apart(long, long + " the end") <= 6


def test_what_is_kept_of_a_text_is_the_door_s_and_a_similarity_is_nobody_else_s() -> None:
    kept = reduced({"actor": "qq:1", "text": RULES, "similarity": "0" * 16, "length": 3}, PIECES)
    like = similarity(RULES, PIECES)
    assert kept == {
        "actor": "qq:1",
        "length": 3,
        "distinct": 20,
        "has_link": False,
        "language": "en",
        "similarity": like,
    }
    assert reduced({"similarity": "0" * 16}, PIECES) == {}
    assert reduced({"text": "see HTTPS://x.y", "language": "de"}, None) == {
        "length": 15,
        "distinct": 10,
        "has_link": True,
        "language": "de",
    }
    assert reduced({"text": ["no", "string"]}, PIECES) == {}


def test_the_pieces_that_are_remembered_are_bounded_over_all_communities() -> None:
    readers = Readers(lambda id: id.bytes)
    first = readers.of(UUID(int=1))
    first.update(dict.fromkeys(range(ROOM + 1), 0))
    assert readers.of(UUID(int=2)) == {}
    assert readers.of(UUID(int=1)) is not first
