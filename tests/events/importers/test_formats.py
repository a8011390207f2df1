"""Files on the disk: told apart, read to the end whatever stands in them."""

import gzip
import json
from operator import length_hint
from pathlib import Path
from typing import Any

import pytest

from services.events.importers import detect, read, read_events
from services.events.importers.lines import MAX_LINE_BYTES, Good, Wrong, digest_of

TRACE: dict[str, Any] = {
    "id": "t-1",
    "type": "message.posted",
    "time": "2021-01-01T00:23:22Z",
    "community": "lean",
    "channel": None,
    "actor": "m1",
    "subject": None,
    "data": {},
}
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/bots/a", "type": "checkin.submitted", "data": {}}


def written(path: Path, *lines: Any, packed: bool = False) -> Path:
    text = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("first", "format"), [(TRACE, "trace"), (EVENT, "cloudevents")])
def test_the_format_is_told_by_the_content(tmp_path: Path, packed: bool, first: Any, format: str) -> None:
    assert detect(written(tmp_path / "file", b"", first, packed=packed)) == format


def test_a_damaged_first_line_does_not_hide_the_format(tmp_path: Path) -> None:
    assert detect(written(tmp_path / "file", b"{", EVENT)) == "cloudevents"


@pytest.mark.parametrize("lines", [[], [{"a": 1}], [b"no json"], [[1, 2]]])
def test_a_file_of_no_known_format_is_refused_by_name(tmp_path: Path, lines: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"stray\.txt"):
        detect(written(tmp_path / "stray.txt", *lines))


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="auto, trace, cloudevents"):
        read(written(tmp_path / "file", EVENT), "xml")


def test_wrong_lines_are_reported_with_their_number_and_the_rest_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path / "events.jsonl",
        EVENT,
        b"",
        b"{broken",
        b'{"specversion":"1.0","id":"\xff"}',
        {"specversion": "1.0", "id": "x", "source": "/a"},
        [1],
        b'{"specversion":"1.0","data":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"specversion":"1.0","id":"n","source":"/a","type":"t","data":NaN}',
        b'{"a":"' + b"x" * (2 * MAX_LINE_BYTES) + b'"}',
        {**EVENT, "id": "2"},
    )
    lines = list(read(path))
    assert [line.event["id"] for line in lines if isinstance(line, Good)] == ["1", "2"]
    reasons = {line.number: line.reason for line in lines if isinstance(line, Wrong)}
    assert list(reasons) == [3, 4, 5, 6, 7, 8, 9]
    assert "not JSON" in reasons[3]
    assert "'type'" in reasons[5]
    assert reasons[6] == "not a JSON object"
    assert reasons[7] == "nested too deeply"
    assert "longer than" in reasons[9]
    assert lines[-1].number == 10
    assert [event["id"] for event in read_events(path)] == ["1", "2"]
    assert length_hint(read_events(path)) == 9


def test_a_byte_order_mark_and_foreign_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(EVENT).encode() + b"\r\n" + json.dumps(EVENT).encode())
    assert [line.number for line in read(path) if isinstance(line, Good)] == [1, 2]


def test_a_gzip_file_that_breaks_off_gives_what_stands_before_the_break(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    whole = gzip.compress(b"".join(json.dumps({**EVENT, "id": f"{n * 7919:x}"}).encode() + b"\n" for n in range(5000)))
    path.write_bytes(whole[: len(whole) // 2])
    lines = list(read(path))
    assert len(lines) > 100
    assert all(isinstance(line, Good) for line in lines[:-1])
    assert isinstance(lines[-1], Wrong)
    assert "damaged" in lines[-1].reason


def test_the_digest_is_of_the_file_as_it_lies_on_the_disk(tmp_path: Path) -> None:
    plain, packed = written(tmp_path / "a", EVENT), written(tmp_path / "b", EVENT, packed=True)
    assert digest_of(plain) == digest_of(written(tmp_path / "c", EVENT))
    assert digest_of(plain) != digest_of(packed)
