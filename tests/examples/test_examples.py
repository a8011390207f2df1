"""The example bots, run as people would run them, against a running platform."""

import asyncio
import json
import os
import socket
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.platform import App

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("ignore")


async def test_the_script_posts_what_people_say_and_tells_them_their_points(app: App) -> None:
    said = "alice: hello everybody\nalice: /checkin\nbob: hi\n"
    environment = {**os.environ, "GUILDHALL_URL": app.url, "GUILDHALL_KEY": app.api_key}

    async def run(lines: str) -> str:
        bot = await asyncio.create_subprocess_exec(
            sys.executable, EXAMPLES / "bot.py", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(bot.communicate(lines.encode()), 60)
        assert bot.returncode == 0
        return out.decode()

    assert await run(said) == ""
    await app.settle()
    answers = (await run("alice: /points\nbob: /points\n")).splitlines()
    # A first message is worth 1 and a check-in 10 by the rules a community begins with.
    assert answers == ["alice, you have 11 points.", "bob, you have 1 points."]
    items = (await app.client.get("/v1/events", params={"group": "console:lobby"})).json()["items"]
    assert sorted(one["type"] for one in items) == ["checkin.submitted", "message.created", "message.created"]


def test_the_script_is_short() -> None:
    assert len((EXAMPLES / "bot.py").read_text().splitlines()) <= 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def nonebot(folder: Path, made: dict[str, Any]) -> AsyncIterator[str]:
    """NoneBot2 with its OneBot adapter and our plugin in a process of its own; where OneBot programs connect to it."""
    port = free_port()
    (folder / "main.py").write_text(
        textwrap.dedent("""
            import sys
            import nonebot
            from nonebot.adapters.onebot.v11 import Adapter
            nonebot.init()
            nonebot.get_driver().register_adapter(Adapter)
            sys.path.insert(0, sys.argv[1])
            assert nonebot.load_plugin("nonebot_plugin_guildhall") is not None
            nonebot.run()
        """)
    )
    environment = {
        **os.environ, "DRIVER": "~fastapi+~httpx", "HOST": "127.0.0.1", "PORT": str(port),
        "GUILDHALL_HOOK": made["url"], "GUILDHALL_SECRET": made["secret"]["secrets"]["secret"],
    }  # fmt: skip
    bot = await asyncio.create_subprocess_exec(sys.executable, "main.py", EXAMPLES, cwd=folder, env=environment)
    try:
        yield f"ws://127.0.0.1:{port}/onebot/v11/ws"
    finally:
        bot.terminate()
        await bot.wait()


@asynccontextmanager
async def program(url: str) -> AsyncIterator[Any]:
    """A OneBot program that is logged in, as NapCat connects to NoneBot."""
    async with asyncio.timeout(60):
        while True:
            try:
                bot = await connect(url, additional_headers={"X-Self-ID": "700001", "X-Client-Role": "Universal"})
            except OSError:
                await asyncio.sleep(0.3)
            else:
                break
    async with bot:
        yield bot


def message(text: str, number: int, at: float) -> str:
    said = [{"type": "at", "data": {"qq": "700001"}}, {"type": "text", "data": {"text": f" {text}"}}]
    return json.dumps({
        "post_type": "message", "message_type": "group", "sub_type": "normal", "time": int(at), "self_id": 700001,
        "user_id": 9001, "group_id": 100, "message_id": 4000 + number, "real_seq": str(number), "font": 14,
        "message": said, "raw_message": f"[CQ:at,qq=700001] {text}",
        "sender": {"user_id": 9001, "nickname": "ann", "card": "", "role": "member"},
    })  # fmt: skip


async def connection(app: App) -> dict[str, Any]:
    reply = await app.client.post("/v1/connections", json={"platform": "onebot-v11", "name": "our bot"})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def timeline(app: App, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            items: list[dict[str, Any]] = (await app.client.get("/v1/events")).json()["items"]
            if len(items) >= count:
                return items
            await asyncio.sleep(0.1)


async def test_nonebot_tells_what_it_hears_and_says_what_is_answered(app: App, tmp_path: Path) -> None:
    made = await connection(app)
    now = app.runtime.clock().timestamp()
    async with nonebot(tmp_path, made) as url, program(url) as napcat:
        await napcat.send(message("hello", 1, now))
        [written] = await timeline(app, 1)
        assert (written["type"], written["actor"], written["group"]) == ("message.created", "qq:9001", "qq:100")
        assert written["data"]["mentions"] == ["qq:700001"]
        await app.settle()
        await napcat.send(message("/points", 2, now))
        call = json.loads(await asyncio.wait_for(napcat.recv(), 30))
        assert call["action"] in ("send_msg", "send_group_msg")
        said = "".join(one["data"]["text"] for one in call["params"]["message"] if one["type"] == "text")
        assert "points" in said
        assert "1" in said.split() or "2" in said.split()  # whether the command itself has been counted by then
        await napcat.send(json.dumps({"status": "ok", "retcode": 0, "data": {"message_id": 1}, "echo": call["echo"]}))
