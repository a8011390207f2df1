"""Reading at the edges: what is too large, too early or more than one character."""

from typing import Any

import pytest

from services.events.receivers import reading


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**18, "9" * 25, 1.5, True, None, {}])
def test_a_time_that_is_none_is_none(value: Any) -> None:
    assert reading.milliseconds({"at": value}, "at") is None
    assert reading.iso({"at": value}, "at") is None


def test_the_first_day_of_the_calendar_has_no_place_in_utc() -> None:
    assert reading.iso({"at": "0001-01-01T00:00:00+14:00"}, "at") is None
    assert reading.iso({"at": "9999-12-31T23:59:59-14:00"}, "at") is None


def test_an_emoji_may_be_several_joined_and_is_no_control_character() -> None:
    joined = "\u2764\u200d\U0001f525"
    assert reading.emoji({"emoji": joined}, "emoji") == joined
    assert reading.word({"emoji": joined}, "emoji") == ""
    for wrong in ("a\0b", "\u2028", "x" * 201, 5, None):
        assert reading.emoji({"emoji": wrong}, "emoji") == ""


def test_a_name_of_parts_is_none_where_one_is_missing() -> None:
    assert reading.together("a", "1") == "a:1"
    assert reading.together("a", "") == ""
