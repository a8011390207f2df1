"""Discourse out of Data Explorer: what posts and likes become, and that it is what the webhook would have told."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import detect, read
from services.events.receivers.discourse import RECEIVER, Settings
from tests.events.importers.exports import (
    CONNECTION,
    changed,
    events,
    lines,
    live,
    places,
    same,
    survives,
    values,
    written,
    wrong,
)

POST: dict[str, Any] = {
    "id": 12,
    "topic_id": 3,
    "post_number": 2,
    "user_id": 7,
    "created_at": "2020-09-13T12:26:40.123Z",
    "post_type": 1,
    "reply_to_post_number": None,
    "raw": 'hello, "you"\n![a](upload://x.png)',
    "category_id": 5,
    "topic_archetype": "regular",
}
LIKE = {**POST, "liked_by": 8, "liked_at": "2020-09-14 01:02:03 UTC"}


def as_csv(path: Path, *posts: dict[str, Any]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(posts[0]))
    writer.writeheader()
    writer.writerows(posts)
    return written(path / "posts.csv", text.getvalue().encode())


def as_json(path: Path, *posts: dict[str, Any]) -> Path:
    rows = [list(post.values()) for post in posts]
    return written(path / "posts.json", {"success": True, "errors": [], "columns": list(posts[0]), "rows": rows})


both = pytest.mark.parametrize("export", [as_csv, as_json])


@both
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"reply_to_post_number": 1},
        {"post_number": 1},
        {"user_id": -1},
        {"category_id": None},
        {"raw": "hi"},
        {"created_at": "2020-09-13 12:26:40.123"},
        {"id": "12", "topic_id": "3", "post_number": "2", "user_id": "7"},
    ],
)
@pytest.mark.parametrize("choices", [{"site": "forum"}, {"connection": CONNECTION}])
def test_a_post_is_what_the_webhook_told(tmp_path: Path, export: Any, more: Any, choices: Any) -> None:
    post = {**POST, **more}
    headers = {"x-discourse-event": "post_created", "x-discourse-event-type": "post"}
    [heard] = live(RECEIVER, {"post": post}, Settings(site=choices.get("site", "")), **headers)
    path = export(tmp_path, post)
    assert detect(path) == "discourse"
    [event] = events(path, **choices)
    assert same(event) == same(heard)
    assert event["time"] == "2020-09-13T12:26:40.123000+00:00"


@both
def test_a_like_is_what_the_webhook_told_at_its_own_time(tmp_path: Path, export: Any) -> None:
    told = {"like": {"post": POST, "user": {"id": 8}}}
    headers = {"x-discourse-event": "post_liked", "x-discourse-event-type": "like"}
    [heard] = live(RECEIVER, told, Settings(site="forum"), **headers)
    [event] = events(export(tmp_path, LIKE), site="forum")
    assert same(event) == same(heard)
    assert event["data"]["author"] == "discourse:forum/7"
    assert event["time"] == "2020-09-14T01:02:03+00:00"


def test_without_site_and_connection_it_has_a_source_of_its_own(tmp_path: Path) -> None:
    [event] = events(as_csv(tmp_path, POST))
    assert (event["source"], event["id"]) == ("/exports/discourse", "post:12")


@both
def test_private_messages_and_notices_are_left_out_and_wrong_rows_named(tmp_path: Path, export: Any) -> None:
    bad = [{**POST, "created_at": "x"}, {**POST, "user_id": None}]
    path = export(tmp_path, POST, {**POST, "topic_archetype": "private_message"}, {**POST, "post_type": 3}, *bad)
    assert len(lines(path)) == 3
    where = ["line 8", "line 10"] if export is as_csv else ["rows[3]", "rows[4]"]
    assert [place for place, _ in wrong(path)] == where


@both
def test_missing_columns_are_said_before_anything_is_read(tmp_path: Path, export: Any) -> None:
    path = export(tmp_path, {"id": 1, "title": "x"})
    with pytest.raises(ValueError, match="none of the formats"):
        detect(path)
    with pytest.raises(ValueError, match="topic_id, post_number, user_id"):
        read(path, "discourse")


def test_a_wrong_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--site"):
        lines(as_csv(tmp_path, POST), site="My Forum")


EXPORT = {"success": True, "columns": list(LIKE), "rows": [list(LIKE.values())]}


@settings(max_examples=200)
@given(where=st.sampled_from(list(places(EXPORT))), value=values)
def test_whatever_stands_in_a_place_it_is_read_or_reported(tmp_path: Path, where: tuple[Any, ...], value: Any) -> None:
    path = written(tmp_path / "posts.json", changed(EXPORT, where, value))
    survives(lambda: lines(path))


@settings(max_examples=200)
@given(at=st.integers(0, 600), junk=st.binary(min_size=1, max_size=20), packed=st.booleans())
def test_whatever_bytes_are_damaged_it_is_read_or_reported(tmp_path: Path, at: int, junk: bytes, packed: bool) -> None:
    path = as_csv(tmp_path, POST, POST) if packed else written(tmp_path / "posts.json", json.dumps(EXPORT).encode())
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    survives(lambda: lines(path))
