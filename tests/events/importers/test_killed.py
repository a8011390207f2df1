"""`guildhall import` as a process that is killed in the middle and started again, against a running installation."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from services.events.importers.formats import count
from tests.crash.processes import clean_environment
from tests.events.importers.exports import written
from tests.support.platform import App

MESSAGES = 3_000
START = 1_600_000_000


def telegram(folder: Path) -> Path:
    messages: list[Any] = [
        {
            "id": number,
            "type": "message",
            "date": "2020-09-13T14:26:40",
            "date_unixtime": str(START + number),
            "from_id": f"user{number % 9 + 1}",
            "text": "hello",
        }
        for number in range(1, MESSAGES + 1)
    ]
    messages[20] = messages[MESSAGES // 2] = "broken"
    chat = {"name": "x", "type": "private_supergroup", "id": 12, "messages": messages}
    return written(folder / "result.json", chat)


def slack(folder: Path) -> Path:
    path = folder / "export"
    written(path / "channels.json", [{"id": f"C{channel}", "name": f"c{channel}"} for channel in range(5)])
    written(path / "users.json", [])
    for channel in range(5):
        for day in range(10, 30):
            stamps = (START + day * 86_400 + number * 60 for number in range(MESSAGES // 100))
            page: list[Any] = [
                {"type": "message", "user": f"U{stamp % 7}", "ts": f"{stamp}.000100", "text": "hello"}
                for stamp in stamps
            ]
            page[0] = 7 if (channel, day) in ((0, 10), (2, 20)) else page[0]
            written(path / f"c{channel}" / f"2020-09-{day}.json", page)
    return path


async def start(app: App, path: Path, state: Path, batch: int, *more: str) -> asyncio.subprocess.Process:
    options = ["--name", "past", "--url", app.url, "--key", app.api_key, "--batch", str(batch), *more]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        "import",
        str(path),
        *options,
        env={**clean_environment(), "XDG_STATE_HOME": str(state)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


def position(state: Path) -> dict[str, int]:
    for file in (state / "guildhall" / "imports").glob("*.json"):
        found: dict[str, int] = json.loads(file.read_bytes())["position"]
        return found
    return {"line": 0}


@pytest.mark.parametrize("export", [telegram, slack])
async def test_killed_in_the_middle_it_goes_on_where_it_stopped(app: App, tmp_path: Path, export: Any) -> None:
    path, state = export(tmp_path), tmp_path / "state"
    assert count(path) == MESSAGES
    first = await start(app, path, state, 2)
    while (at := position(state)["line"]) < 100:
        assert first.returncode is None, (await first.communicate())[0].decode()
        await asyncio.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    await first.communicate()
    at = position(state)["line"]
    assert 100 <= at < MESSAGES
    await app.settle()
    assert 100 <= (await app.client.get("/v1/imports/past")).json()["stored"] < MESSAGES

    second = await start(app, path, state, 100)
    said = (await second.communicate())[0].decode()
    assert second.returncode == 2, said
    assert f"{MESSAGES - 2} accepted, 0 refused, 2 lines not usable" in said
    places = ["messages[20]", "messages[1500]"] if export is telegram else ["09-10.json[0]", "09-20.json[0]"]
    assert [place for place in places if place not in said] == [], "also what was wrong before the kill"
    await app.settle()
    told = (await app.client.get("/v1/imports/past")).json()
    assert (told["stored"], told["rejected"]) == (MESSAGES - 2, 0)
    assert position(state)["line"] == 0


ROWS = 1_000_000
EVERY_SO_MANY_IS_WRONG = 100_000
MAPPING = """
source = "/archives/forum"
platform = "forum"
type = "message.created"
[columns]
id = "id"
at = "time"
who = "actor"
board = "group"
body = "text"
[time]
format = "unix"
"""


def table(folder: Path) -> tuple[Path, list[int]]:
    """A million rows of a thousand people, and the lines of those that no time can be read of."""
    path, wrong = folder / "posts.csv", []
    with path.open("w") as out:
        out.write("id,at,who,board,body\n")
        for number in range(ROWS):
            fits = number % EVERY_SO_MANY_IS_WRONG != 7
            at = str(START + number) if fits else "yesterday"
            if not fits:
                wrong.append(number + 2)
            out.write(f"{number},{at},{number % 1000},b{number % 7},hello {number}\n")
    return path, wrong


@pytest.mark.soak
async def test_a_million_rows_are_imported_across_a_kill_and_wrong_ones_are_named_by_their_lines(
    app: App, tmp_path: Path
) -> None:
    path, wrong = table(tmp_path)
    state, mapping = tmp_path / "state", tmp_path / "posts.toml"
    mapping.write_text(MAPPING)
    first = await start(app, path, state, 500, "--mapping", str(mapping))
    while position(state)["line"] < ROWS // 2:
        assert first.returncode is None, (await first.communicate())[0].decode()
        await asyncio.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    await first.communicate()

    second = await start(app, path, state, 500, "--mapping", str(mapping))
    said = (await second.communicate())[0].decode()
    assert second.returncode == 2, said
    assert f"{ROWS - len(wrong)} accepted, 0 refused, {len(wrong)} lines not usable" in said
    assert [line for line in wrong if f"line {line}:" not in said] == []
    await app.settle(3600)
    told = (await app.client.get("/v1/imports/past")).json()
    assert (told["stored"], told["rejected"]) == (ROWS - len(wrong), 0)


async def test_an_export_that_has_changed_is_not_gone_on_with(app: App, tmp_path: Path) -> None:
    path, state = slack(tmp_path), tmp_path / "state"
    first = await start(app, path, state, 2)
    while position(state)["line"] < 10:
        await asyncio.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    await first.communicate()
    await app.settle()
    written(path / "c1" / "2020-10-01.json", [])
    second = await start(app, path, state, 100)
    said = (await second.communicate())[0].decode()
    assert second.returncode == 1
    assert "remove it to start anew" in said
