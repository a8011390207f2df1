"""What groups have, over HTTP: read, explained, given and taken by hand."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from services.rewards.domain.explaining import Decided, phrase
from tests.rewards.guild import Guild, make_guild
from tests.rewards.ledger.support import announced, change_unit, check_books
from tests.rewards.rules.test_groups import TALK, PointsAdjusted, account, post
from tests.rewards.serving import Rewards


async def talk(guild: Guild, **groups: int) -> None:
    """So many messages in each group, five points each."""
    await guild.publish(TALK)
    some = [post(guild, f"{group}/{n}", group=f"qq:{group}") for group, many in groups.items() for n in range(many)]
    await guild.score(*some)


async def enter(rewards: Rewards, **fields: Any) -> Any:
    """A group gets points by hand; the reply."""
    body = {"group": "qq:a", "amount": 10, "reason": "won the derby", **fields}
    return await rewards.client.post("/v1/entries", json={k: v for k, v in body.items() if v is not None})


async def has(rewards: Rewards, group: str = "qq:a") -> tuple[int, int]:
    body = await rewards.get("/v1/accounts/groups/balances", group=group)
    return next((a["balance"], a["available"]) for a in body["items"] if a["unit"] == "points")


async def test_groups_are_listed_the_highest_first_page_by_page_and_none_of_others(rewards: Rewards) -> None:
    await talk(rewards.guild, a=1, b=3, c=2, d=2, e=2)
    await talk(await make_guild(rewards.guild.db), a=9)
    whole = (await rewards.get("/v1/accounts/groups"))["items"]
    assert [(one["group"], one["balance"]) for one in whole][:1] == [("qq:b", 15)]
    assert [one["balance"] for one in whole] == [15, 10, 10, 10, 5]
    assert [one["account_id"] for one in whole[1:4]] == sorted(one["account_id"] for one in whole[1:4])
    pages, params = [], {"limit": 2}
    while True:
        page = await rewards.get("/v1/accounts/groups", **params)
        pages.append(page["items"])
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert [one for page in pages for one in page] == whole
    back = await rewards.get("/v1/accounts/groups", limit=2, cursor=page["prev"])
    assert (back["items"], (await rewards.get("/v1/accounts/groups", unit="coins"))["items"]) == (pages[1], [])
    assert await rewards.refused("GET", "/v1/accounts/groups?cursor=abc") == (400, "cursor_invalid")


async def test_one_group_is_read_by_its_name_with_all_that_it_has(rewards: Rewards) -> None:
    await change_unit(rewards.guild, minimum=2)
    await talk(rewards.guild, a=2)
    body = await rewards.get("/v1/accounts/groups/balances", group="qq:a")
    assert (body["account"], body["account_id"]) == ("group:qq:a", str(account(rewards.guild, "qq:a")))
    assert {a["unit"]: (a["balance"], a["available"], a["debt"]) for a in body["items"]} == {
        "points": (10, 8, 0), "xp": (0, 0, 0), "contribution": (0, 0, 0), "fund": (0, 0, 0)
    }  # fmt: skip
    lines = (await rewards.get("/v1/entries", account="group:qq:a"))["items"]
    assert [(e["account"], e["counter_account"], e["amount"]) for e in lines] == [("group:qq:a", "mint", 5)] * 2
    read = "/v1/accounts/groups/balances?group="
    assert await rewards.refused("GET", read + "qq:z") == (404, "group_unknown")
    for wrong in ("100", "qq:", f"member:{uuid4()}"):
        assert await rewards.refused("GET", read + wrong) == (422, "identity_malformed")


async def test_members_read_what_groups_have_and_not_what_they_did(rewards: Rewards) -> None:
    await talk(rewards.guild, a=1)
    member = await rewards.member("ann")
    assert (await member.get("/v1/accounts/groups")).json()["items"][0]["balance"] == 5
    assert (await member.get("/v1/accounts/groups/balances", params={"group": "qq:a"})).status_code == 200
    assert (await member.get("/v1/entries", params={"account": "group:qq:a"})).status_code == 403
    own = f"/v1/members/{account(rewards.guild, 'qq:a')}/points/explain"
    assert (await member.get(own)).json()["code"] == "not_yours"


async def test_decisions_and_their_explanation_say_that_a_group_got_it(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish({**TALK, "name": "Talk"})
    message, nowhere = post(guild), post(guild, "m2", group=None)
    await guild.score(message, nowhere)
    (one,) = (await rewards.get(f"/v1/events/{message.event_id}/decisions"))["items"]
    assert (one["member_id"], one["group"], one["amount"]) == (None, "qq:100", 5)
    (none,) = (await rewards.get(f"/v1/events/{nowhere.event_id}/decisions"))["items"]
    assert (none["group"], none["reason"]) == (None, "the event does not say in which group it was")
    path = f"/v1/members/{account(guild)}/points/explain"
    (line,) = (await rewards.get(path))["items"]
    assert line["text"] == "message.created at 2026-11-23 08:00: rule Talk gave 5 points (group qq:100)"
    reply = await rewards.client.get(path, headers={"Accept-Language": "zh-CN"})
    assert reply.json()["items"][0]["text"].endswith("规则「Talk」给出 5 points(群组 qq:100)")
    assert (await rewards.get(path, to="2026-11-01T00:00:00Z"))["items"] == []


def test_what_was_taken_back_of_a_group_names_it_too() -> None:
    taken = Decided("Talk", "points", "undone", -5, -5, "message.deleted", "qq:100")
    assert phrase(taken, "en") == "5 points of rule Talk taken back because the message was deleted (group qq:100)"


async def test_operators_give_to_groups_and_take_from_them(rewards: Rewards) -> None:
    made = await enter(rewards)
    entry = made.json()
    assert (made.status_code, entry["account"], entry["counter_account"]) == (201, "group:qq:a", "adjust")
    assert (await enter(rewards, kind="spend", amount=-4)).json()["counter_account"] == "burn"
    assert await has(rewards) == (6, 6)
    too_much = (await enter(rewards, kind="spend", amount=-7)).json()
    assert (too_much["code"], too_much["available"]) == ("insufficient", 6)
    assert (await enter(rewards, amount=-7)).json()["code"] == "insufficient"
    assert (await enter(rewards, amount=-7, allow_negative=True)).status_code == 201
    assert await has(rewards) == (-1, 0)
    first, again = [await enter(rewards, idempotency_key="k", amount=3) for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    assert (await enter(rewards, idempotency_key="k", amount=3, group="qq:b")).json()[
        "code"
    ] == "idempotency_key_reused"
    assert (await has(rewards), await announced(rewards.guild.db, PointsAdjusted)) == ((2, 2), [])
    await check_books(rewards.guild.db)


async def test_of_a_batch_a_group_may_spend_what_an_earlier_item_brought_and_no_more(rewards: Rewards) -> None:
    same = {"group": "qq:a", "reason": "prize"}
    items = [
        {**same, "amount": 10},
        {**same, "amount": -7, "kind": "spend"},
        {**same, "amount": -7, "kind": "spend"},
        {**same, "amount": 1, "group": "qq:b", "unit": "xp"},
        {"identity": "qq:ann", "amount": 2, "reason": "prize"},
        {**same, "amount": 1, "unit": "coins"},
    ]
    reply = await rewards.client.post("/v1/entries/batch", json={"items": items})
    said = [(one["status"], (one["problem"] or {}).get("code")) for one in reply.json()["items"]]
    ok = ("accepted", None)
    assert said == [ok, ok, ("refused", "insufficient"), ok, ok, ("refused", "unit_unknown")]
    assert (await has(rewards), await rewards.guild.has("ann", "points")) == ((3, 3), 2)
    await check_books(rewards.guild.db)


async def test_many_who_spend_what_a_group_has_at_once_never_spend_more(rewards: Rewards) -> None:
    await enter(rewards)
    replies = await asyncio.gather(*(enter(rewards, kind="spend", amount=-3) for _ in range(12)))
    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [422] * 9
    assert await has(rewards) == (1, 1)
    await check_books(rewards.guild.db)


async def test_what_is_too_much_for_one_waits_for_a_second_operator(rewards: Rewards) -> None:
    await change_unit(rewards.guild, approval_above=5)
    waits = (await enter(rewards)).json()
    assert (waits["state"], waits["member_id"], waits["group"]) == ("waiting", None, "qq:a")
    assert (await rewards.get("/v1/entries/adjustments"))["items"] == [waits]
    assert await has(rewards) == (0, 0)
    other = await rewards.key("rewards:read", "rewards:write")
    approved = await other.post(f"/v1/entries/adjustments/{waits['id']}/approval")
    assert (approved.status_code, approved.json()["account"]) == (201, "group:qq:a")
    assert await has(rewards) == (10, 10)


async def test_who_looks_at_what_a_group_would_get_reads_which_group_it_is(rewards: Rewards) -> None:
    await rewards.guild.publish({**TALK, "review_when": "true"}, {**TALK, "id": "own", "review_when": "true",
        "give": [{"to": "actor", "unit": "points", "amount": 1}]})  # fmt: skip
    await rewards.guild.score(post(rewards.guild))
    waiting = {one["rule_id"]: one for one in (await rewards.get("/v1/reviews"))["items"]}
    ann = str(rewards.guild.member("ann"))
    assert {id: (one["member_id"], one["group"]) for id, one in waiting.items()} == {
        "talk": (None, "qq:100"), "own": (ann, None),
    }  # fmt: skip
    body = {"ids": [waiting["talk"]["id"]], "verdict": "approve", "reason": "fine"}
    (done,) = (await rewards.client.post("/v1/reviews/verdicts", json=body)).json()["items"]
    assert (done["status"], done["review"]["group"]) == ("decided", "qq:100")
    assert (await has(rewards, "qq:100"))[0] == 5


@pytest.mark.parametrize("clawback", ["allow_negative", "refuse", "to_zero_and_record_debt"])
async def test_a_group_s_entry_is_reversed_in_part_and_by_the_unit_s_clawback(rewards: Rewards, clawback: str) -> None:
    await change_unit(rewards.guild, clawback=clawback)
    await talk(rewards.guild, a=1)
    (grant,) = (await rewards.get("/v1/entries", account="group:qq:a"))["items"]
    path = f"/v1/entries/{grant['id']}/reversals"
    part = await rewards.client.post(path, json={"amount": 2, "reason": "too much"})
    assert (part.status_code, part.json()["account"], part.json()["amount"]) == (201, "group:qq:a", -2)
    await enter(rewards, kind="spend", amount=-3)
    rest = await rewards.client.post(path, json={"reason": "all of it"})
    refused = clawback == "refuse"
    assert rest.status_code == (422 if refused else 201)
    assert (await has(rewards))[0] == (0 if refused else -3)
    await check_books(rewards.guild.db)


async def test_whom_an_entry_concerns_is_said_once_and_is_somebody(rewards: Rewards) -> None:
    for fields in ({"group": None}, {"identity": "qq:ann"}, {"member_id": str(uuid4())}):
        problem = (await enter(rewards, **fields)).json()
        assert problem["errors"][0]["message"] == "give one of member_id, identity and group", fields
    for wrong in ("100", f"member:{uuid4()}"):
        problem = (await enter(rewards, group=wrong)).json()
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("identity_malformed", "/group")
    items = {"items": [{"group": "100", "amount": 1, "reason": "r"}]}
    problem = (await rewards.client.post("/v1/entries/batch", json=items)).json()
    assert problem["errors"][0]["pointer"] == "/items/0/group"
    await enter(rewards)
    own = str(account(rewards.guild, "qq:a"))
    assert (await enter(rewards, group=None, member_id=own)).json()["code"] == "member_unknown"
    bought = await rewards.client.post(f"/v1/checkins/daily/members/{own}/freezes")
    assert bought.json()["code"] == "member_unknown", "a group is no member"
