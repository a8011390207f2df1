"""A NoneBot2 plugin: what a bot of the OneBot v11 adapter hears goes to Guildhall, whose answers the bot says.

Make a connection (`POST /v1/connections` with `"platform": "onebot-v11"`), then in the bot's `.env`:

    DRIVER=~fastapi+~httpx
    GUILDHALL_HOOK=https://HOST/v1/hooks/CONNECTION
    GUILDHALL_SECRET=the connection's secret

and `nonebot.load_plugin("nonebot_plugin_guildhall")`. Other plugins work beside it. What could not be delivered is
tried again for about a minute, in the order it was heard; what waits when the bot is stopped is lost, since it is kept
nowhere. A bot that is to lose nothing connects to Guildhall itself (docs/receivers/onebot-v11.md).
"""

import asyncio
import hashlib
import hmac
import json
from typing import Any

from nonebot import get_driver, get_plugin_config, logger, on
from nonebot.adapters.onebot.v11 import Bot, Event, Message, MessageSegment
from nonebot.drivers import HTTPClientMixin, Request
from nonebot.plugin import PluginMetadata
from pydantic import BaseModel

__plugin_meta__ = PluginMetadata(
    name="Guildhall",
    description="Check-ins, points and boards for groups.",
    usage="/checkin /points /rank /bind CODE /stop, or 打卡 积分 排行 绑定 退订",
)


class Config(BaseModel):
    guildhall_hook: str
    guildhall_secret: str


config = get_plugin_config(Config)
driver = get_driver()
waiting: asyncio.Queue[tuple[Bot, Event]] = asyncio.Queue(maxsize=10_000)
everything = on(priority=1, block=False)


@everything.handle()
async def hear(bot: Bot, event: Event) -> None:
    await waiting.put((bot, event))


async def deliver(content: bytes) -> dict[str, Any]:
    """What Guildhall answers; {} for nothing to say. It counts an event once however often it is delivered."""
    assert isinstance(driver, HTTPClientMixin)
    signature = hmac.new(config.guildhall_secret.encode(), content, hashlib.sha1).hexdigest()
    headers = {"X-Signature": f"sha1={signature}", "Content-Type": "application/json"}
    for pause in (0.5, 1, 2, 5, 10, 20, 20, 0):
        try:
            answer = await driver.request(
                Request("POST", config.guildhall_hook, headers=headers, content=content, timeout=10)
            )
        except Exception as error:
            # Which errors there are depends on the driver's HTTP client; all of them mean that nobody answered.
            why = repr(error)
        else:
            if answer.status_code < 400:
                return json.loads(answer.content) if answer.content else {}
            why = f"{answer.status_code} {answer.content!r}"
            if answer.status_code < 500 and answer.status_code != 429:
                break
        await asyncio.sleep(pause)
    logger.error(f"Guildhall did not take an event: {why}")
    return {}


def as_heard(event: Event) -> dict[str, Any]:
    """The event as the program told it: NoneBot takes mentions of the bot and quotes out of a message."""
    told = event.model_dump(mode="json", exclude={"to_me", "original_message", "reply"})
    original = getattr(event, "original_message", None)
    if original is not None:
        told["message"] = [{"type": one.type, "data": one.data} for one in original]
    return told


async def forward() -> None:
    """One after the other: what a member does stays in its order."""
    while True:
        bot, event = await waiting.get()
        try:
            answer = await deliver(json.dumps(as_heard(event)).encode())
            if answer.get("reply"):
                await bot.send(event, Message(MessageSegment(one["type"], one["data"]) for one in answer["reply"]))
        except Exception:
            # A bot that is muted or gone by now, an event or an answer of a form we do not know: whatever it is, it is
            # this event's, and those behind it still go.
            logger.exception("Guildhall: an event was not forwarded, or its answer not said")


@driver.on_startup
async def begin() -> None:
    driver.guildhall_forwarding = asyncio.create_task(forward())


@driver.on_shutdown
async def end() -> None:
    driver.guildhall_forwarding.cancel()
