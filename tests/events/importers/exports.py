"""What the tests of exports share: made-up exports, what is compared with the live receiver, and damage."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from services.events.importers import Choices, read
from services.events.importers.lines import Good, Line, Wrong
from services.events.receivers.door import activity_of, source_of
from services.events.receivers.form import Delivery, Receiver
from tests.events.receivers.sending import AT

CONNECTION = UUID(int=9)
SAME = ("source", "id", "type", "subject")
OF_DATA = ("actor", "group", "reply_to", "kind", "bot", "mentions", "private", "has_media", "topic", "text")


def written(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def lines(path: Path, **choices: Any) -> list[Line]:
    return list(read(path, choices=Choices(**choices)))


def events(path: Path, **choices: Any) -> list[dict[str, Any]]:
    found = lines(path, **choices)
    assert all(isinstance(line, Good) for line in found), [line for line in found if isinstance(line, Wrong)]
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    return [line.event for line in found if isinstance(line, Good)]


def wrong(path: Path, **choices: Any) -> list[tuple[str, str]]:
    return [(line.where, line.reason) for line in lines(path, **choices) if isinstance(line, Wrong)]


def live(receiver: Receiver[Any, Any], body: Any, settings: Any, **headers: str) -> list[dict[str, Any]]:
    """What the door is given of a delivery."""
    told = receiver.translate(Delivery(headers, {}, json.dumps(body).encode(), AT), settings)
    return [activity_of(seen, source_of(seen, receiver.platform, CONNECTION)) for seen in told.seen]


def same(event: dict[str, Any]) -> dict[str, Any]:
    """What makes two of them one, and say the same."""
    return {name: event.get(name) for name in SAME} | {name: event["data"].get(name) for name in OF_DATA}


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "user1", "0", "-1", 10**30, -(10**30), 2**63, "\ud800", "\0", 1e300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but the whole."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield (*path, name)
        yield from places(one, (*path, name))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy in which something else stands at one place."""
    copy = json.loads(json.dumps(value))
    at = copy
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = new
    return copy


def survives(read_it: Callable[[], list[Line]]) -> None:
    """Whatever it is, it is read or reported, in order, and what is read can be posted."""
    try:
        found = read_it()
    except ValueError:
        return
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    for line in found:
        if isinstance(line, Good):
            assert line.event["time"]
            assert line.event["id"]
            msgspec.json.encode(line.event)
