"""Entries, accounts and units over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from tests.rewards.guild import make_guild
from tests.rewards.ledger.support import Statements, check_books
from tests.rewards.serving import Rewards


async def post(rewards: Rewards, **fields: Any) -> Any:
    """Ann gets points by hand; the reply."""
    body = {"identity": "qq:ann", "amount": 10, "reason": "helped", **fields}
    return await rewards.client.post("/v1/entries", json={k: v for k, v in body.items() if v is not None})


async def balances(rewards: Rewards, name: str = "ann") -> dict[str, tuple[int, int]]:
    body = await rewards.get(f"/v1/accounts/{rewards.guild.member(name)}")
    return {a["unit"]: (a["balance"], a["available"]) for a in body["items"]}


async def test_an_entry_is_posted_and_read_back_from_both_sides(rewards: Rewards) -> None:
    made = await post(rewards)
    assert made.status_code == 201
    entry = made.json()
    member = str(rewards.guild.member("ann"))
    assert (entry["account"], entry["counter_account"], entry["amount"], entry["kind"]) == (
        member, "adjust", 10, "adjustment",
    )  # fmt: skip
    assert entry["actor"].startswith("key:")
    assert await rewards.get(f"/v1/entries/{entry['id']}") == entry
    mine = await rewards.get("/v1/entries", member=member)
    assert mine["items"] == [entry]
    other = (await rewards.get("/v1/entries", account="adjust"))["items"]
    assert [(e["id"], e["account"], e["amount"]) for e in other] == [(entry["id"], "adjust", -10)]
    assert await balances(rewards) == {"points": (10, 10), "xp": (0, 0), "contribution": (0, 0), "fund": (0, 0)}


async def test_what_was_posted_is_answered_as_it_is_read_whatever_its_kind_and_the_zone_of_its_instant(
    rewards: Rewards,
) -> None:
    before = "2026-11-23T08:30:00.000001+08:00"
    for fields in (
        {"effective_at": before},
        {"kind": "spend", "amount": -3},
        {"unit": "xp", "reason": "打卡 \U0001f389"},
    ):
        made = (await post(rewards, **fields)).json()
        assert await rewards.get(f"/v1/entries/{made['id']}") == made
    items = [{"identity": f"qq:{name}", "amount": 2, "reason": "all", "idempotency_key": name} for name in "abc"]
    made = (await rewards.client.post("/v1/entries/batch", json={"items": items})).json()
    again = await rewards.client.post("/v1/entries", json=items[1])
    assert again.json() == await rewards.get(f"/v1/entries/{made['items'][1]['id']}")


async def test_the_same_key_is_answered_with_the_original_and_other_content_is_refused(rewards: Rewards) -> None:
    first = await post(rewards, idempotency_key="k")
    again = await post(rewards, idempotency_key="k")
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    other = await post(rewards, idempotency_key="k", amount=11)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await balances(rewards))["points"] == (10, 10)


async def test_twenty_who_post_one_key_at_once_post_one_entry(rewards: Rewards) -> None:
    replies = await asyncio.gather(*(post(rewards, idempotency_key="k") for _ in range(20)))
    assert sorted(r.status_code for r in replies) == [200] * 19 + [201]
    assert len({r.json()["id"] for r in replies}) == 1
    assert (await balances(rewards))["points"] == (10, 10)


async def test_twenty_who_spend_at_once_never_spend_more_than_there_is(rewards: Rewards) -> None:
    await post(rewards, amount=10)
    replies = await asyncio.gather(*(post(rewards, amount=-3, kind="spend") for _ in range(20)))
    assert [r.status_code for r in replies].count(201) == 3
    assert {r.json()["code"] for r in replies if r.status_code != 201} == {"insufficient"}
    assert (await balances(rewards))["points"] == (1, 1)
    await check_books(rewards.guild.db)


async def test_a_batch_answers_for_each_of_its_items(rewards: Rewards) -> None:
    items = [
        {"identity": "qq:ann", "amount": 5, "reason": "a", "idempotency_key": "x"},
        {"identity": "qq:ann", "amount": 5, "reason": "a", "idempotency_key": "x"},
        {"identity": "qq:ann", "amount": -50, "reason": "b", "kind": "spend"},
        {"member_id": str(uuid4()), "amount": 1, "reason": "nobody"},
    ]
    reply = await rewards.client.post("/v1/entries/batch", json={"items": items})
    assert reply.status_code == 200
    out = reply.json()["items"]
    assert [i["status"] for i in out] == ["accepted", "duplicate", "refused", "refused"]
    assert out[0]["id"] == out[1]["id"]
    assert [i["problem"]["code"] for i in out[2:]] == ["insufficient", "member_unknown"]
    assert (await rewards.client.post("/v1/entries/batch", json={"items": items * 126})).status_code == 422


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": 2**63}, 400, "amount_out_of_range"),
        ({"amount": 0}, 422, "amount_zero"),
        ({"amount": 1.5}, 422, "validation_failed"),
        ({"unit": "gold"}, 422, "unit_unknown"),
        ({"identity": "nonsense"}, 422, "identity_malformed"),
        ({"member_id": str(uuid4())}, 422, "validation_failed"),
        ({"identity": None}, 422, "validation_failed"),
        ({"reason": "\0"}, 422, "validation_failed"),
        ({"reason": None}, 422, "validation_failed"),
        ({"effective_at": "0001-01-01T00:00:00+14:00"}, 422, "validation_failed"),
        ({"effective_at": "2999-01-01T00:00:00Z"}, 422, "in_the_future"),
        ({"kind": "spend", "amount": -1, "allow_negative": True}, 422, "validation_failed"),
        ({"amont": 1}, 422, "validation_failed"),
    ],
)
async def test_what_makes_no_entry_is_refused_by_its_code(
    rewards: Rewards, change: dict[str, Any], status: int, code: str
) -> None:
    reply = await post(rewards, **change)
    assert (reply.status_code, reply.json()["code"]) == (status, code)


async def test_a_malformed_identity_is_pointed_at_where_it_stands(rewards: Rewards) -> None:
    one = await post(rewards, identity="nonsense")
    assert one.json()["errors"][0]["pointer"] == "/identity"
    items = [{"identity": "qq:1", "amount": 1, "reason": "a"}, {"identity": ":", "amount": 1, "reason": "a"}]
    many = await rewards.client.post("/v1/entries/batch", json={"items": items})
    assert many.json()["errors"][0]["pointer"] == "/items/1/identity"


async def test_an_entry_is_taken_back_in_part_and_then_in_full_and_no_further(rewards: Rewards) -> None:
    entry = (await post(rewards)).json()["id"]
    path = f"/v1/entries/{entry}/reversals"
    part = await rewards.client.post(path, json={"reason": "half", "amount": 4})
    assert (part.status_code, part.json()["amount"], part.json()["reverses"]) == (201, -4, entry)
    too_much = await rewards.refused("POST", path, json={"reason": "x", "amount": 7})
    assert too_much == (422, "reversal_too_large")
    rest = await rewards.client.post(path, json={"reason": "rest"})
    assert (rest.status_code, rest.json()["amount"]) == (201, -6)
    assert await rewards.refused("POST", path, json={"reason": "again"}) == (409, "already_reversed")
    own = f"/v1/entries/{rest.json()['id']}/reversals"
    assert await rewards.refused("POST", own, json={"reason": "undo"}) == (422, "not_reversible")
    assert (await rewards.get(f"/v1/entries/{entry}"))["reversed"] == 10
    nobody = await rewards.refused("POST", f"/v1/entries/{uuid4()}/reversals", json={"reason": "x"})
    assert nobody == (404, "entry_unknown")


async def test_twenty_who_reverse_at_once_reverse_once(rewards: Rewards) -> None:
    entry = (await post(rewards)).json()["id"]
    path = f"/v1/entries/{entry}/reversals"
    replies = await asyncio.gather(*(rewards.client.post(path, json={"reason": "x"}) for _ in range(20)))
    assert sorted(r.status_code for r in replies) == [201] + [409] * 19
    assert (await balances(rewards))["points"] == (0, 0)
    await check_books(rewards.guild.db)


async def test_a_large_adjustment_waits_for_a_second_person(rewards: Rewards) -> None:
    unit = {"name": "Points", "spendable": True, "approval_above": 100}
    assert (await rewards.client.put("/v1/units/points", json=unit)).status_code == 200
    waits = await post(rewards, amount=101)
    assert (waits.status_code, waits.json()["state"]) == (202, "waiting")
    listed = (await rewards.get("/v1/entries/adjustments"))["items"]
    assert [a["id"] for a in listed] == [waits.json()["id"]]
    path = f"/v1/entries/adjustments/{waits.json()['id']}"
    assert await rewards.refused("POST", f"{path}/approval") == (403, "same_person")
    second = await rewards.key("rewards:write")
    approved = await second.post(f"{path}/approval")
    assert (approved.status_code, approved.json()["amount"]) == (201, 101)
    assert approved.json()["approver"] != approved.json()["actor"]
    assert await rewards.refused("POST", f"{path}/refusal") == (409, "adjustment_decided")
    assert (await rewards.get("/v1/entries/adjustments"))["items"] == []
    assert len((await rewards.get("/v1/entries/adjustments", state="approved"))["items"]) == 1
    other = (await post(rewards, amount=500)).json()["id"]
    refused = await second.post(f"/v1/entries/adjustments/{other}/refusal")
    assert (refused.status_code, refused.json()["state"]) == (200, "refused")
    assert (await balances(rewards))["points"] == (101, 101)


async def test_entries_are_paged_in_both_directions_and_cut_by_time_and_unit(rewards: Rewards) -> None:
    now = rewards.clock()
    for n in range(7):
        at = (now - timedelta(days=n)).isoformat()
        await post(rewards, amount=n + 1, effective_at=at, unit="points" if n % 2 else "xp")
    path = f"/v1/accounts/{rewards.guild.member('ann')}/entries"
    first = await rewards.get(path, limit=3)
    second = await rewards.get(path, limit=3, cursor=first["next"])
    third = await rewards.get(path, limit=3, cursor=second["next"])
    amounts = [[e["amount"] for e in p["items"]] for p in (first, second, third)]
    assert amounts == [[1, 2, 3], [4, 5, 6], [7]]
    assert (first["prev"], third["next"]) == (None, None)
    assert (await rewards.get(path, limit=3, cursor=third["prev"]))["items"] == second["items"]
    assert (await rewards.get(path, limit=3, cursor=second["prev"]))["items"] == first["items"]
    cut = {"from": (now - timedelta(days=4)).isoformat(), "to": (now - timedelta(days=1)).isoformat()}
    assert [e["amount"] for e in (await rewards.get(path, **cut))["items"]] == [3, 4, 5]
    assert [e["amount"] for e in (await rewards.get(path, unit="xp"))["items"]] == [1, 3, 5, 7]
    assert await rewards.refused("GET", path, params={"limit": 201}) == (422, "validation_failed")
    assert (await rewards.client.get(path, params={"from": "0001-01-01T00:00:00+14:00"})).status_code == 422


async def test_a_unit_is_data_and_counts_what_was_issued_and_burnt(rewards: Rewards) -> None:
    made = await rewards.client.put("/v1/units/coins", json={"name": "Coins", "spendable": True})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    await post(rewards, unit="coins", amount=10)
    await post(rewards, unit="coins", amount=-4, kind="spend")
    coins = next(u for u in (await rewards.get("/v1/units"))["items"] if u["id"] == "coins")
    assert (coins["issued"], coins["burnt"]) == (10, 4)
    changed = {"name": "Coins", "spendable": False}
    assert (await rewards.client.put("/v1/units/coins", json=changed, headers={"If-Match": '"1"'})).status_code == 200
    stale = await rewards.refused("PUT", "/v1/units/coins", json=changed, headers={"If-Match": '"1"'})
    assert stale == (412, "version_changed")
    late = await post(rewards, unit="coins", amount=-1, kind="spend")
    assert late.json()["code"] == "unit_not_spendable"
    assert (await balances(rewards))["coins"] == (6, 0)


async def test_a_minimum_is_kept_by_spending(rewards: Rewards) -> None:
    await rewards.client.put("/v1/units/points", json={"name": "Points", "spendable": True, "minimum": 5})
    await post(rewards, amount=7)
    assert (await balances(rewards))["points"] == (7, 2)
    assert (await post(rewards, amount=-3, kind="spend")).json()["code"] == "insufficient"
    assert (await post(rewards, amount=-2, kind="spend")).status_code == 201


async def test_a_member_token_sees_its_own_account_only_and_posts_nothing(rewards: Rewards) -> None:
    await post(rewards)
    ann = await rewards.member("ann")
    own = await ann.get(f"/v1/accounts/{rewards.guild.member('ann')}")
    assert own.json()["items"][-2]["unit"] in {u["id"] for u in (await rewards.get("/v1/units"))["items"]}
    assert len((await ann.get(f"/v1/accounts/{rewards.guild.member('ann')}/entries")).json()["items"]) == 1
    for path in ("", "/entries"):
        assert (await ann.get(f"/v1/accounts/{rewards.guild.member('bob')}{path}")).status_code == 403
    assert (await ann.get("/v1/entries")).status_code == 403
    assert (await ann.post("/v1/entries", json={})).status_code in (403, 422)


async def test_another_communitys_entries_cannot_be_seen_or_touched(rewards: Rewards) -> None:
    entry = (await post(rewards)).json()["id"]
    stranger = await rewards.key("rewards:read", "rewards:write", guild=await make_guild(rewards.guild.db))
    assert (await stranger.get(f"/v1/entries/{entry}")).status_code == 404
    assert (await stranger.post(f"/v1/entries/{entry}/reversals", json={"reason": "x"})).status_code == 404
    ann = rewards.guild.member("ann")
    for path in (f"/v1/entries?member={ann}", f"/v1/accounts/{ann}", f"/v1/accounts/{ann}/entries"):
        reply = await stranger.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "member_unknown"), path


async def test_whoever_has_points_has_an_account_before_the_news_of_them_is_here_and_a_known_member_has_zeros(
    rewards: Rewards,
) -> None:
    guild, everything = rewards.guild, rewards.client
    await guild.score(guild.act("checkin.submitted", "early"))
    await guild.know("quiet")
    for name, balance in (("early", 10), ("quiet", 0)):
        reply = await everything.get(f"/v1/accounts/{guild.member(name)}")
        assert (reply.status_code, {a["unit"]: a["balance"] for a in reply.json()["items"]}["xp"]) == (200, balance)
        level = await everything.get(f"/v1/levels/members/{guild.member(name)}")
        assert (level.status_code, level.json()["balance"]) == (200, balance)
    nobody = await everything.get(f"/v1/accounts/{guild.member('nobody')}")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "member_unknown")


async def test_what_is_owed_is_shown_and_keeps_from_spending(rewards: Rewards) -> None:
    body = {"name": "Points", "spendable": True, "clawback": "to_zero_and_record_debt"}
    put = await rewards.client.put("/v1/units/points", json=body)
    assert (put.status_code, put.json()["clawback"], put.json()["owed"]) == (200, "to_zero_and_record_debt", 0)
    prize = (await post(rewards, amount=10)).json()
    await post(rewards, amount=-4, kind="spend")
    await rewards.client.post(f"/v1/entries/{prize['id']}/reversals", json={"reason": "by mistake"})
    accounts = (await rewards.get(f"/v1/accounts/{rewards.guild.member('ann')}"))["items"]
    (account,) = [a for a in accounts if a["unit"] == "points"]
    assert (account["balance"], account["debt"], account["available"]) == (0, 4, 0)
    spend = {"identity": "qq:ann", "amount": -1, "kind": "spend", "reason": "r"}
    refused = await rewards.client.post("/v1/entries", json=spend)
    assert (refused.status_code, refused.json()["code"], refused.json()["debt"]) == (422, "in_debt", 4)
    (unit,) = [u for u in (await rewards.get("/v1/units"))["items"] if u["id"] == "points"]
    assert (unit["issued"], unit["burnt"], unit["owed"]) == (0, 4, 4)
    owed = (await rewards.get("/v1/entries", account="debt"))["items"]
    assert [(e["kind"], e["amount"]) for e in owed] == [("owed", -4)]


async def test_entries_that_come_at_once_share_transactions_and_each_has_its_own_answer(rewards: Rewards) -> None:
    guild = rewards.guild
    ann = str(guild.member("ann"))
    await guild.know("ann")
    good = {"member_id": ann, "amount": 5, "reason": "helped"}
    # Requests sent at once arrive in any order: of two bodies under one key, the one that must win is posted before.
    used = await rewards.client.post("/v1/entries", json={**good, "idempotency_key": "used"})
    assert used.status_code == 201
    bodies = [
        *[{**good, "idempotency_key": f"k{n}"} for n in range(40)],
        *[{**good, "idempotency_key": "k1"} for _ in range(5)],
        {**good, "idempotency_key": "used", "amount": 6},
        {**good, "unit": "gold"},
        {"identity": "nobody", "amount": 5, "reason": "helped"},
        {**good, "amount": -(10**6), "kind": "spend", "reason": "bought"},
    ]
    with Statements(guild.db) as seen:
        answers = await asyncio.gather(*(rewards.client.post("/v1/entries", json=body) for body in bodies))
    codes = [answer.status_code for answer in answers]
    assert sorted(codes[:45]) == [200] * 5 + [201] * 40
    assert [answer.json().get("code") for answer in answers[45:]] == [
        "idempotency_key_reused", "unit_unknown", "identity_malformed", "insufficient",
    ]  # fmt: skip
    assert {answer.json()["id"] for answer in answers[40:45]} == {answers[1].json()["id"]}
    assert await guild.has("ann", "points") == 205
    posted = sum(text.startswith("INSERT INTO transactions") for text in seen.texts)
    assert 0 < posted < 40, "some were posted together"
    await check_books(guild.db)


async def test_who_hangs_up_has_posted_or_not_and_nobody_else_is_kept_waiting(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.know("ann")
    body = {"member_id": str(guild.member("ann")), "amount": 1, "reason": "helped"}
    tasks = [
        asyncio.create_task(rewards.client.post("/v1/entries", json={**body, "idempotency_key": f"h{n}"}))
        for n in range(30)
    ]
    await asyncio.sleep(0.01)
    for task in tasks[::3]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(answer.status_code == 201 for answer in done if not isinstance(answer, BaseException))
    again = await asyncio.gather(
        *(rewards.client.post("/v1/entries", json={**body, "idempotency_key": f"h{n}"}) for n in range(30))
    )
    assert {answer.status_code for answer in again} <= {200, 201}
    assert await guild.has("ann", "points") == 30
    await check_books(guild.db)


async def test_an_announcement_names_the_request_it_came_with_when_it_was_alone(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.know("ann")
    body = {"member_id": str(guild.member("ann")), "amount": 1, "reason": "helped"}
    answer = await rewards.client.post("/v1/entries", json=body, headers={"X-Request-Id": "abc-123"})
    assert answer.status_code == 201
    async with guild.db.read() as tx:
        bodies = [bytes(row.body) for row in await tx.all(select(guild.db.table("outbox")))]
    assert sum(b"abc-123" in one for one in bodies) == 1


async def test_who_posts_what_waits_again_waits_for_nobody_who_approves_it(rewards: Rewards) -> None:
    """A group has the accounts; who approves holds the adjustment and wants them."""
    guild = rewards.guild
    await rewards.client.put("/v1/units/coins", json={"name": "Coins", "spendable": True, "approval_above": 5})
    bodies = [
        {"identity": "qq:ann", "unit": "coins", "amount": 9, "reason": "gift", "idempotency_key": f"w{n}"}
        for n in range(4)
    ]
    waiting = [(await rewards.client.post("/v1/entries", json=body)).json()["id"] for body in bodies]
    second = await rewards.key("rewards:read", "rewards:write")
    small = [{**bodies[0], "amount": 1, "idempotency_key": f"s{n}"} for n in range(6)]
    asked = [rewards.client.post("/v1/entries", json=body) for body in [*bodies, *small, *reversed(bodies)]]
    approved = [second.post(f"/v1/entries/adjustments/{id}/approval") for id in waiting]
    answers = await asyncio.gather(*asked, *approved)
    assert {answer.status_code for answer in answers[: len(asked)]} <= {200, 201, 202}
    assert {answer.status_code for answer in answers[len(asked) :]} == {201}
    assert await guild.has("ann", "coins") == 42
    await check_books(guild.db)
