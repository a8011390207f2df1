"""What two connections say about one thing is one activity, and what is done again is another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.events.receivers.door import id_about
from services.events.receivers.form import Seen

AT = datetime(2026, 11, 25, 12, 0, 10, tzinfo=UTC)


def said(type: str, after: float = 0.0) -> Seen:
    return Seen(type=type, id="", at=AT + timedelta(seconds=after), actor="qq:1", group="qq:5", about="-77")


@pytest.mark.parametrize(
    ("type", "after", "same"),
    [
        ("message.recalled", 5, True),
        ("message.recalled", 3600, True),
        ("message.edited", 0, True),
        ("message.edited", 1, False),
        ("reaction.added", 5, True),
        ("reaction.added", 60, False),
    ],
)
def test_what_is_said_about_a_message_later_is_the_same_or_another(type: str, after: float, same: bool) -> None:
    assert (id_about(said(type), "200") == id_about(said(type, after), "200")) is same


def test_two_names_of_one_message_make_no_difference_and_two_messages_do() -> None:
    seen = said("reaction.added")
    assert id_about(seen, "200") == id_about(replace(seen, about="-99"), "200") != id_about(seen, "201")
