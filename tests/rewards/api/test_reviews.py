"""The queue of reviews over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.rewards.guild import MORNING, rule
from tests.rewards.serving import Rewards


@pytest.fixture
async def rewards(rewards: Rewards) -> Rewards:
    """Five of Ann's messages wait."""
    await rewards.guild.publish(rule(amount=2, name="Talk", review_when="true"))
    for n in range(5):
        await rewards.guild.score(rewards.guild.act(at=MORNING + timedelta(minutes=n)))
        rewards.clock.advance(timedelta(seconds=1))
    return rewards


async def verdicts(rewards: Rewards, ids: list[str], verdict: str = "approve") -> Any:
    body = {"ids": ids, "verdict": verdict, "reason": "looked at"}
    reply = await rewards.client.post("/v1/reviews/verdicts", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()["items"]


async def test_the_queue_is_paged_and_decided_in_bulk(rewards: Rewards) -> None:
    first = await rewards.get("/v1/reviews", limit=2)
    assert [one["effective_at"][:16] for one in first["items"]] == ["2026-11-23T08:00", "2026-11-23T08:01"]
    second = await rewards.get("/v1/reviews", limit=2, cursor=first["next"])
    back = await rewards.get("/v1/reviews", limit=2, cursor=second["prev"])
    assert back["items"] == first["items"]
    ids = [one["id"] for one in (*first["items"], *second["items"])]
    done = await verdicts(rewards, [*ids, str(uuid4())])
    assert [one["status"] for one in done] == ["decided"] * 4 + ["unknown"]
    again = await verdicts(rewards, ids[:1], "refuse")
    assert (again[0]["status"], again[0]["review"]["state"]) == ("conflict", "approved")
    member = str(rewards.guild.member("ann"))
    left = (await rewards.get("/v1/reviews", member=member, rule="talk"))["items"]
    assert len(left) == 1
    approved = (await rewards.get("/v1/reviews", state="approved"))["items"]
    entry = await rewards.get(f"/v1/entries/{approved[0]['transaction_id']}")
    assert (entry["kind"], entry["amount"], entry["reason"]) == ("grant", 2, "Talk")
    xp = {one["unit"]: one for one in (await rewards.get(f"/v1/accounts/{member}"))["items"]}["xp"]
    assert (xp["balance"], xp["pending"]) == (8, 2)


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("en", "rule Talk would give up to 2 xp: under review", "rule Talk gave nothing: refused after a review"),
        ("zh-CN", "规则「Talk」至多给出 2 xp:正在审核", "规则「Talk」未给分:审核未通过"),
    ],
)
async def test_the_member_reads_that_it_is_under_review(
    rewards: Rewards, language: str, before: str, after: str
) -> None:
    ann = await rewards.member("ann")
    path = f"/v1/members/{rewards.guild.member('ann')}/points/explain"
    told = (await ann.get(path, headers={"Accept-Language": language})).json()["items"]
    assert before in told[0]["text"]
    assert told[0]["amounts"] == {"xp": 0}
    await verdicts(rewards, [one["id"] for one in (await rewards.get("/v1/reviews"))["items"]], "refuse")
    told = (await ann.get(path, headers={"Accept-Language": language})).json()["items"]
    assert after in told[0]["text"]


async def test_members_and_readers_decide_nothing(rewards: Rewards) -> None:
    body = {"ids": [str(uuid4())], "verdict": "approve", "reason": "x"}
    for client in (await rewards.member("ann"), await rewards.key("rewards:read")):
        assert (await client.post("/v1/reviews/verdicts", json=body)).status_code == 403
    assert (await (await rewards.member("ann")).get("/v1/reviews")).status_code == 403
