"""What is asked for somebody who was erased is refused with one code."""

from typing import Any

from tests.rewards.badges.support import badge, define
from tests.rewards.erasing.support import erase
from tests.rewards.guild import rule
from tests.rewards.serving import Rewards

WHY = {"reason": "why not"}


def asked(ann: str) -> dict[tuple[str, str], dict[str, Any] | None]:
    entry = {"unit": "points", "amount": 1, "member_id": ann, **WHY}
    return {
        ("POST", "/v1/entries"): {"kind": "adjustment", **entry},
        ("POST", "/v1/entries/holds"): {"timeout_seconds": 60, **entry},
        ("POST", f"/v1/badges/ten/members/{ann}"): WHY,
        ("PUT", f"/v1/boards/xp/excluded/{ann}"): WHY,
        ("PUT", f"/v1/accounts/{ann}/boards"): {"opted_out": True},
        ("POST", f"/v1/checkins/daily/members/{ann}/freezes"): None,
        ("POST", f"/v1/checkins/daily/members/{ann}/days"): {"day": "2026-11-22", "kind": "done", **WHY},
    }


async def test_nothing_is_done_for_who_was_erased(rewards: Rewards) -> None:
    guild, ann = rewards.guild, str(rewards.guild.member("ann"))
    await guild.publish(rule())
    await define(guild, badge())
    await guild.know("ann")
    await guild.score(guild.act())
    await erase(guild, "ann")
    for (method, path), body in asked(ann).items():
        assert await rewards.refused(method, path, json=body) == (409, "member_erased"), path
    # What there is to read of them is nothing.
    assert (await rewards.get("/v1/entries", member=ann))["items"] == []
