"""CQ codes: whatever somebody writes comes back out of the string it was put into."""

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.receivers.onebot_segments import MAX_MENTIONS, MAX_TEXT, Segment, content, parse, segments

INSIDE = (("&", "&amp;"), ("[", "&#91;"), ("]", "&#93;"))


def escaped(text: str, *more: tuple[str, str]) -> str:
    for plain, code in (*INSIDE, *more):
        text = text.replace(plain, code)
    return text


def serialise(parts: list[Segment]) -> str:
    """As the specification says (message/string.md): commas are escaped in codes only."""
    return "".join(
        escaped(part.data["text"])
        if part.type == "text"
        else "".join(
            [f"[CQ:{part.type}", *(f",{k}={escaped(v, (',', '&#44;'))}" for k, v in part.data.items()), "]"],
        )
        for part in parts
    )


names = st.from_regex(r"[a-z_][a-z0-9_-]{0,9}", fullmatch=True)
values = st.text(max_size=30) | st.text("&[],;=#amp4913 CQ:", max_size=30)
codes = st.builds(Segment, names.filter(lambda name: name != "text"), st.dictionaries(names, values, max_size=4))
texts = st.builds(lambda text: Segment("text", {"text": text}), values.filter(bool))
# Two texts side by side are one in the string.
messages = st.lists(codes | texts, max_size=8).map(
    lambda parts: [part for part, after in zip(parts, [*parts[1:], None], strict=False)
                   if after is None or not part.type == after.type == "text"]
)  # fmt: skip


@given(messages)
def test_what_was_put_into_a_string_comes_out_of_it(parts: list[Segment]) -> None:
    assert parse(serialise(parts)) == parts


@given(messages)
def test_both_formats_of_a_message_say_the_same(parts: list[Segment]) -> None:
    listed = [{"type": part.type, "data": dict(part.data)} for part in parts]
    assert segments(listed) == parts
    assert content(listed) == content(serialise(parts))


@given(st.text("[]CQ:,=&#;amp 491at", max_size=60) | st.text(max_size=60))
def test_any_string_is_a_message(text: str) -> None:
    assert "".join(part.data["text"] for part in parse(escaped(text))) == text
    content(text)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("", []),
        ("[CQ:shake]", [Segment("shake", {})]),
        ("[CQ:face,id=178]hi", [Segment("face", {"id": "178"}), Segment("text", {"text": "hi"})]),
        (
            "[CQ:share,title=a=b&#44; c,url=http://example.org/?a=1&amp;b=2]",
            [Segment("share", {"title": "a=b, c", "url": "http://example.org/?a=1&b=2"})],
        ),
        ("- &#91;x&#93; `&amp;data`", [Segment("text", {"text": "- [x] `&data`"})]),
        ("&amp;#91;", [Segment("text", {"text": "&#91;"})]),
        ("a, b&#44; c", [Segment("text", {"text": "a, b, c"})]),
        ("[CQ:at,qq=1", [Segment("text", {"text": "[CQ:at,qq=1"})]),
        ("[x] [CQ:] ]", [Segment("text", {"text": "[x] [CQ:] ]"})]),
        ("[CQ:a[CQ:at,qq=1]", [Segment("text", {"text": "[CQ:a"}), Segment("at", {"qq": "1"})]),
        ("[CQ:at,qq=1,,name]", [Segment("at", {"qq": "1", "name": ""})]),
    ],
)
def test_strings_as_programs_write_them(code: str, found: list[Segment]) -> None:
    assert parse(code) == found


@pytest.mark.parametrize("code", ["[CQ:" * 50_000, "]" * 200_000, "[CQ:a]" * 30_000, "[CQ:a," + "=," * 100_000 + "]"])
def test_a_string_made_to_take_long_does_not(code: str) -> None:
    began = process_time()
    content(code)
    assert process_time() - began < 2


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([("text", {"text": "a"}), ("face", {"id": "1"})], "text"),
        ([("face", {"id": "1"})], "face"),
        ([("mface", {"emoji_id": "a"})], "face"),
        ([("at", {"qq": "600001"})], "text"),
        ([("reply", {"id": "1"}), ("image", {"file": "a"}), ("text", {"text": "a"})], "image"),
        ([("record", {"file": "a"})], "voice"),
        ([("video", {"file": "a"})], "video"),
        ([("file", {"file": "a"})], "file"),
        ([("json", {"data": "{}"})], "card"),
        ([("share", {"url": "https://example.org"})], "link"),
        ([("location", {"lat": "1", "lon": "2"})], "location"),
        ([("forward", {"id": "1"})], "forward"),
        ([("something_new", {})], "other"),
        ([], "unknown"),
    ],
)
def test_the_kind_is_that_of_what_weighs_most(parts: list[tuple[str, Any]], kind: str) -> None:
    assert content([{"type": name, "data": data} for name, data in parts]).data["kind"] == kind


def test_only_pictures_voice_video_and_files_are_media() -> None:
    media = [name for name in ("text", "face", "image", "record", "video", "file", "json", "share", "forward")
             if content([{"type": name, "data": {}}]).data.get("has_media")]  # fmt: skip
    assert media == ["image", "record", "video", "file"]


def test_mentions_are_people_each_once_and_everybody_is_nobody_in_particular() -> None:
    at = [
        {"type": "at", "data": {"qq": qq}} for qq in ("600001", 600002, "600001", "all", "0", "80000000", None, "x y")
    ]
    said = content([*at, {"type": "text", "data": {"text": " hi "}}])
    assert said.text == "hi"
    assert said.data == {"kind": "text", "mentions": ["qq:600001", "qq:600002"], "mentions_all": True}
    crowd = [{"type": "at", "data": {"qq": str(600000 + n)}} for n in range(MAX_MENTIONS + 1)]
    assert len(content(crowd).data["mentions"]) == MAX_MENTIONS


def test_a_text_without_end_is_cut_but_its_length_is_told() -> None:
    said = content("a\0" * MAX_TEXT)
    assert (len(said.text), said.data["length"]) == (MAX_TEXT, 2 * MAX_TEXT)


@pytest.mark.parametrize(
    "message", [None, 7, True, {}, [7, None], [{"type": 7, "data": 8}], {"type": "at", "data": None}]
)
def test_what_is_no_message_says_nothing(message: Any) -> None:
    said = content(message)
    assert said.text == ""
    assert set(said.data) == {"kind"}
