"""CSV with a mapping: what a row becomes, and what is said of wrong mappings and wrong rows."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import Choices, detect, read, run_import
from services.events.importers.formats import count
from services.events.importers.lines import Good, Line, Wrong
from tests.support.platform import App

MAPPING = """
source = "/archives/old"
platform = "old"
type = "message.created"
numbers = ["likes"]
[columns]
post = "id"
when = "time"
who = "actor"
board = "group"
body = "text"
likes = "likes"
[constants]
kind = "text"
"""
HEADER = "post,when,who,board,body,likes,unused\n"
ROW = "1,2020-01-02T03:04:05+02:00,u1,7,hello,3,x\n"


def lines(folder: Path, text: str | bytes, mapping: str = MAPPING) -> list[Line]:
    return list(read(*given_files(folder, text, mapping)))


def given_files(folder: Path, text: str | bytes, mapping: str = MAPPING) -> tuple[Path, str, Choices]:
    path, rules = folder / "posts.csv", folder / "posts.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    rules.write_text(mapping)
    return path, "auto", Choices(mapping=rules)


def events(found: list[Line]) -> list[dict[str, Any]]:
    assert all(isinstance(line, Good) for line in found), found
    return [line.event for line in found if isinstance(line, Good)]


def reasons(found: list[Line]) -> dict[int, str]:
    return {line.number: line.reason for line in found if isinstance(line, Wrong)}


def test_a_row_becomes_what_the_mapping_says_and_nothing_else_is_taken(tmp_path: Path) -> None:
    assert events(lines(tmp_path, HEADER + ROW)) == [
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/archives/old",
            "type": "message.created",
            "time": "2020-01-02T01:04:05+00:00",
            "datacontenttype": "application/json",
            "data": {"kind": "text", "actor": "old:u1", "group": "old:7", "text": "hello", "likes": 3},
        }
    ]


@pytest.mark.parametrize(
    ("form", "cell", "time"),
    [
        ('format = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"', "01.07.2020 12:00", "2020-07-01T10:00:00+00:00"),
        ('format = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"', "01.01.2020 12:00", "2020-01-01T11:00:00+00:00"),
        ('format = "unix"', "1600000000", "2020-09-13T12:26:40+00:00"),
        ('format = "unix_ms"', "1600000000500", "2020-09-13T12:26:40.500000+00:00"),
        ('zone = "Asia/Shanghai"', "2020-01-01 08:00:00", "2020-01-01T00:00:00+00:00"),
    ],
)
def test_times_are_read_as_the_mapping_says(tmp_path: Path, form: str, cell: str, time: str) -> None:
    [event] = events(lines(tmp_path, HEADER + f"1,{cell},u,g,b,1,x\n", f"{MAPPING}[time]\n{form}\n"))
    assert event["time"] == time


def test_types_stand_in_a_column_and_are_translated(tmp_path: Path) -> None:
    mapping = MAPPING.replace('body = "text"', 'body = "type"') + '[types]\nP = "answer.posted"\n'
    found = lines(tmp_path, HEADER + ROW.replace("hello", "P") + ROW.replace("hello", "") + ROW, mapping)
    assert [line.event["type"] for line in found if isinstance(line, Good)] == ["answer.posted", "message.created"]
    assert list(reasons(found)) == [4]


def test_cells_may_hold_line_ends_and_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    found = lines(tmp_path, HEADER + ROW.replace("hello", '"a\nb, ""c"""') + "\n" + "short,row\n" + ROW)
    assert [line.number for line in found] == [2, 5, 6]
    assert reasons(found) == {5: "2 cells, and the header has 7"}


def test_wrong_rows_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = [
        ROW,
        ROW.replace("2020-01-02T03:04:05+02:00", "yesterday"),
        ROW.replace("2020-01-02T03:04:05+02:00", ""),
        ROW.replace(",3,", ",many,"),
        ROW.replace(",3,", ",nan,"),
        ROW.replace("2020-01-02T03:04:05+02:00", "0001-01-01T00:00:00+10:00"),
    ]
    found = lines(tmp_path, (HEADER + "".join(rows)).encode() + ROW.encode().replace(b"hello", b"\xff") + ROW.encode())
    assert list(reasons(found)) == [3, 4, 5, 6, 7, 8]
    assert "yesterday" not in str(reasons(found))
    assert reasons(found)[8] == "not utf-8"
    assert [line.number for line in found if isinstance(line, Good)] == [2, 9]


def test_without_an_id_equal_rows_are_one_event_wherever_they_stand(tmp_path: Path) -> None:
    mapping = MAPPING.replace('post = "id"\n', "")
    first, other, again = events(lines(tmp_path, HEADER + ROW + ROW.replace("u1", "u2") + ROW, mapping))
    assert first["id"] == again["id"] != other["id"]


def test_other_delimiters_encodings_a_mark_and_gzip(tmp_path: Path) -> None:
    mapping = MAPPING + '[csv]\ndelimiter = ";"\nencoding = "gb18030"\n'
    [event] = events(
        lines(tmp_path, (HEADER + ROW.replace("hello", "你好")).replace(",", ";").encode("gb18030"), mapping)
    )
    assert event["data"]["text"] == "你好"
    [event] = events(lines(tmp_path, gzip.compress(b"\xef\xbb\xbf" + (HEADER + ROW).encode())))
    assert event["id"] == "1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source = "/archives/old"', "", "source"),
        ('platform = "old"', 'platform = "Old Forum"', "platform"),
        ('when = "time"', "", "no column is `time`"),
        ('when = "time"', 'when = "id"', "two columns"),
        ('who = "actor"', 'who = "The Actor"', "is no field"),
        ('kind = "text"', 'text = "text"', "cannot be a constant"),
        ('kind = "text"', "kind = [1]", "constants"),
        ('type = "message.created"', "", "neither `type`"),
        ('numbers = ["likes"]', 'numbers = ["views"]', "views"),
        ('who = "actor"', 'author_name = "actor"', "no column 'author_name'"),
        ('kind = "text"', 'kind = "text"\n[time]\nzone = "Europe/Nowhere"', "time.zone"),
        ('kind = "text"', 'kind = "text"\n[time]\nformat = "%Y %Y"', "time.format"),
        ('kind = "text"', 'kind = "text"\n[time]\nformat = "%d.%m"', "time.format"),
        ('kind = "text"', 'kind = "text"\n[csv]\ndelimiter = "ab"', "delimiter"),
        ('kind = "text"', 'kind = "text"\n[csv]\nencoding = "utf-16"', "encoding"),
        ('kind = "text"', 'kind = "text"\n[misc]\na = 1', "misc"),
        ('kind = "text"', "kind = ", "line"),
    ],
)
def test_a_wrong_mapping_is_refused_before_anything_is_read(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        lines(tmp_path, HEADER + ROW, MAPPING.replace(old, new))


def test_a_file_without_a_header_and_csv_without_a_mapping_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no header"):
        lines(tmp_path, "")
    with pytest.raises(ValueError, match="--mapping"):
        read(tmp_path / "posts.csv", "csv")
    with pytest.raises(ValueError, match="more than once"):
        lines(tmp_path, HEADER.replace("unused", "who") + ROW)


def test_another_mapping_is_another_import(tmp_path: Path) -> None:
    _, _, choices = given_files(tmp_path, HEADER)
    before = choices.settings()
    given_files(tmp_path, HEADER, MAPPING + "\n")
    assert choices.settings() != before


@settings(max_examples=150)
@given(
    text=st.binary(max_size=400), at=st.integers(0, 200), rest=st.sampled_from(["utf-8", "gb18030", "latin-1", "utf-7"])
)
def test_whatever_stands_in_the_file_it_is_read_or_reported(tmp_path: Path, text: bytes, at: int, rest: str) -> None:
    whole = (HEADER + ROW * 3).encode()
    mapping = f'{MAPPING}[csv]\nencoding = "{rest}"\n'
    try:
        found = lines(tmp_path, whole[:at] + text + whole[at:], mapping)
    except ValueError:
        return
    numbers = [line.number for line in found]
    assert numbers == sorted(set(numbers))
    msgspec.json.encode([line.event for line in found if isinstance(line, Good)])


async def test_a_running_installation_counts_what_the_file_holds(app: App, tmp_path: Path) -> None:
    rows = [ROW.replace("1,", f"{number},", 1).replace("u1", f"u{number % 7}") for number in range(1, 301)]
    rows[10] = "broken\n"
    rows[20] = ROW.replace("1,", "21,", 1).replace("u1", "u\x01")
    path, format, choices = given_files(tmp_path, HEADER + "".join(rows) + rows[0])
    assert detect(path, choices) == "csv"
    assert count(path, format, choices) == 301
    report = await run_import(
        path, url=app.url, key=app.api_key, name="old", choices=choices, resume_path=tmp_path / "position"
    )
    await app.settle()
    assert (report.accepted, report.rejected, report.wrong_lines) == (299, 1, 1)
    assert {problem.line for problem in report.problems} == {12, 22}
    told = (await app.client.get("/v1/imports/old")).json()
    assert (told["stored"], told["rejected"]) == (298, 1)
