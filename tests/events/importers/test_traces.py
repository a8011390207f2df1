"""One line of a trace, one activity in the public form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.importers.traces import TYPES, recognises, translate


def line(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": "t-1",
        "type": "message.posted",
        "time": "2021-01-01T00:23:22Z",
        "community": "lean",
        "channel": "maths",
        "actor": "m000645",
        "subject": "p0242646",
        "data": {},
    }
    return {**base, **changes}


def test_a_message_becomes_the_activity_of_the_public_contract() -> None:
    posted = line(data={"chars": 112, "has_code": True, "reply_to": "p0242645", "mentions": ["m000577", "m000001"]})
    assert translate(posted) == {
        "specversion": "1.0",
        "id": "t-1",
        "source": "/traces/lean",
        "type": "message.created",
        "time": "2021-01-01T00:23:22Z",
        "subject": "p0242646",
        "datacontenttype": "application/json",
        "data": {
            "actor": "trace:m000645",
            "group": "trace:maths",
            "length": 112,
            "has_code": True,
            "reply_to": "p0242645",
            "mentions": ["trace:m000577", "trace:m000001"],
        },
    }


def test_what_the_trace_does_not_know_is_absent_and_not_null() -> None:
    event = translate(line(actor=None, channel=None, subject=None))
    assert "subject" not in event
    assert event["data"] == {}


def test_the_author_of_the_subject_is_named_as_such() -> None:
    event = translate(line(type="reaction.added", actor=None, data={"kind": "upvote", "target_author": "m000006"}))
    assert event["data"] == {"group": "trace:maths", "kind": "upvote", "author": "trace:m000006"}


@pytest.mark.parametrize("field", ["author", "question_author", "invited_by"])
def test_every_field_that_names_a_member_names_the_same_identity_as_actor_does(field: str) -> None:
    event = translate(line(actor="m1", data={field: "m1"}))
    assert event["data"][field] == event["data"]["actor"] == "trace:m1"


def test_a_bot_stays_marked() -> None:
    assert translate(line(data={"bot": True}))["data"]["bot"] is True


@pytest.mark.parametrize(("theirs", "ours"), [*TYPES.items(), ("answer.posted", "answer.posted"), ("x.y", "x.y")])
def test_types_are_mapped_by_the_table_and_keep_their_name_otherwise(theirs: str, ours: str) -> None:
    assert translate(line(type=theirs))["type"] == ours


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": ""}, "'id'"),
        ({"id": 7}, "'id'"),
        ({"type": None}, "'type'"),
        ({"time": 1700000000}, "'time'"),
        ({"community": None}, "'community'"),
        ({"actor": 12}, "'actor'"),
        ({"channel": []}, "'channel'"),
        ({"subject": ""}, "'subject'"),
        ({"data": []}, "'data'"),
        ({"data": {"target_author": 5}}, "'data.target_author'"),
        ({"data": {"mentions": [None]}}, "'data.mentions'"),
    ],
)
def test_a_line_that_is_not_a_trace_line_says_which_field(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        translate(line(**changes))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@given(json_values | st.fixed_dictionaries(dict.fromkeys(line(), json_values)))
def test_any_json_value_is_translated_or_refused_with_a_reason(value: Any) -> None:
    recognises(value)
    try:
        event = translate(value)
    except ValueError:
        return
    assert {"specversion", "id", "source", "type", "time", "data"} <= event.keys()
