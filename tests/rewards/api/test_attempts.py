"""What check-ins must bring and who says that they count, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from kit.code_words import code_word
from tests.rewards.guild import MORNING
from tests.rewards.ledger.support import check_books
from tests.rewards.serving import Rewards

SERIES = {"id": "reading", "name": "Reading", "on": ["page.read"]}


async def test_what_a_series_asks_for_reads_as_it_was_written_and_a_change_replaces_it(rewards: Rewards) -> None:
    proof = [
        {"kind": "text", "length": 20, "distinct": 8},
        {"kind": "media", "images": 2},
        {"kind": "numeric", "field": "km", "least": 1.5, "most": None},
        {"kind": "numeric", "field": "minutes", "least": None, "most": 90.0},
        {"kind": "code_word", "language": "zh"},
    ]
    made = await rewards.client.post("/v1/checkins", json={**SERIES, "proof": proof})
    assert (made.status_code, made.json()["proof"]) == (201, proof)
    changed = await rewards.client.patch("/v1/checkins/reading", json={"proof": [{"kind": "media"}]})
    assert changed.json()["proof"] == [{"kind": "media", "images": 1}]
    assert (await rewards.client.patch("/v1/checkins/reading", json={"proof": []})).json()["proof"] == []


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        ([{"kind": "media"}, {"kind": "media", "images": 2}], "twice"),
        ([{"kind": "numeric", "field": "km", "least": 5, "most": 4}], "below_least"),
    ],
)
async def test_proof_that_asks_for_nothing_sensible_is_refused(
    rewards: Rewards, proof: list[dict[str, Any]], code: str
) -> None:
    reply = await rewards.client.post("/v1/checkins", json={**SERIES, "proof": proof})
    assert (reply.status_code, [error["code"] for error in reply.json()["errors"]]) == (422, [code])


async def test_attempts_are_listed_to_operators_and_to_whose_they_are(rewards: Rewards) -> None:
    await rewards.client.patch("/v1/checkins/daily", json={"proof": [{"kind": "media"}]})
    guild = rewards.guild
    mine, theirs = guild.act("checkin.submitted", "ann"), guild.act("checkin.submitted", "bob")
    await guild.score(mine)
    rewards.clock.now += timedelta(seconds=1)
    await guild.score(theirs)
    path = "/v1/checkins/daily/attempts"
    both = await rewards.get(path)
    assert [(one["event_id"], one["state"], one["missing"], one["day"]) for one in both["items"]] == [
        (str(event.event_id), "refused", ["media_missing"], "2026-11-23") for event in (theirs, mine)
    ]
    first = await rewards.get(path, limit=1)
    rest = await rewards.get(path, limit=1, cursor=first["next"])
    assert [first["items"], rest["items"], rest["next"]] == [both["items"][:1], both["items"][1:], None]
    ann = await rewards.member("ann")
    assert [one["event_id"] for one in (await ann.get(path)).json()["items"]] == [str(mine.event_id)]
    refused = await ann.get(path, params={"member": str(guild.member("bob"))})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")
    assert await rewards.refused("GET", "/v1/checkins/none/attempts") == (404, "checkin_unknown")


async def test_the_code_word_of_a_day_is_told_to_who_may_write_and_is_what_the_door_looks_for(
    rewards: Rewards,
) -> None:
    path = "/v1/checkins/daily/code-word"
    assert await rewards.refused("GET", path) == (409, "code_word_not_asked")
    await rewards.client.patch("/v1/checkins/daily", json={"proof": [{"kind": "code_word"}]})
    told = await rewards.get(path)
    secret = rewards.guild.db.secret
    assert told == {"day": "2026-11-23", "word": code_word(secret, rewards.guild.id, "daily", MORNING.date(), "en")}
    assert (await rewards.get(path, day="2026-11-24"))["word"] != told["word"]
    for client in (await rewards.key("rewards:read"), await rewards.member("ann")):
        assert (await client.get(path)).status_code == 403


WAITING = {"approval": {"by": "peers", "peers": 1}}


async def test_approval_reads_as_it_was_written_and_what_makes_no_sense_is_refused(rewards: Rewards) -> None:
    guild = rewards.guild
    approval = {
        "by": "referee",
        "referees": [str(guild.member("ref"))],
        "peers": 1,
        "within_hours": 48,
        "then": "refuse",
    }
    made = await rewards.client.post("/v1/checkins", json={**SERIES, "approval": approval})
    assert (made.status_code, made.json()["approval"]) == (201, approval)
    assert await rewards.get("/v1/checkins/reading") == made.json()
    for wrong in ({"by": "referee"}, {"by": "peers", "referees": approval["referees"]}):
        reply = await rewards.client.patch("/v1/checkins/reading", json={"approval": wrong})
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (422, "referees_unfit")
    changed = await rewards.client.patch("/v1/checkins/reading", json={"approval": None})
    assert (changed.json()["approval"], changed.json()["version"]) == (None, 2)


async def test_operators_decide_several_at_once_and_each_is_answered_for(rewards: Rewards) -> None:
    await rewards.client.patch("/v1/checkins/daily", json=WAITING)
    guild = rewards.guild
    done = [guild.act("checkin.submitted", name) for name in ("ann", "bob")]
    await guild.score(*done)
    ids = [str(a.event_id) for a in done]
    path = "/v1/checkins/daily/attempts"
    waiting = await rewards.get(path, state="pending")
    assert {(one["event_id"], one["due_at"]) for one in waiting["items"]} == {
        (id, "2026-11-26T09:00:00Z") for id in ids
    }
    body = {"event_ids": [*ids, str(guild.id)], "verdict": "approve", "reason": "seen"}
    for said in ("decided", "conflict"):
        reply = await rewards.client.post(f"{path}/verdicts", json=body)
        assert [one["status"] for one in reply.json()["items"]] == [said, said, "unknown"]
    approved = (await rewards.get(path, state="approved"))["items"]
    assert {(one["reason"], one["due_at"]) for one in approved} == {("seen", None)}
    assert all(one["decided_by"].startswith("key:") and one["decided_at"] for one in approved)
    assert (await guild.has("ann"), await guild.has("bob")) == (10, 10)
    assert await rewards.get(path, state="pending") == {"items": [], "next": None, "prev": None}
    await check_books(guild.db)


async def test_members_confirm_each_other_once_and_never_themselves(rewards: Rewards) -> None:
    await rewards.client.patch("/v1/checkins/daily", json={"approval": {"by": "peers", "peers": 2}})
    guild = rewards.guild
    for name in ("ann", "bob", "cat"):
        await guild.know(name)
    done = guild.act("checkin.submitted", "ann")
    await guild.score(done)
    path = f"/v1/checkins/daily/attempts/{done.event_id}/confirmations"
    ann, bob = await rewards.member("ann"), await rewards.member("bob")
    own = await ann.post(path, json={})
    assert (own.status_code, own.json()["code"]) == (409, "own_checkin")
    others = await bob.post(path, json={"member_id": str(guild.member("cat"))})
    assert (others.status_code, others.json()["code"]) == (403, "not_yours")
    seen = await bob.get("/v1/checkins/daily/attempts", params={"state": "pending"})
    assert [one["event_id"] for one in seen.json()["items"]] == [str(done.event_id)]
    for _ in range(2):
        said = await bob.post(path, json={})
        assert (said.json()["state"], said.json()["confirmed_by"]) == ("pending", [str(guild.member("bob"))])
    assert await rewards.refused("POST", path, json={}) == (422, "validation_failed")
    last = await rewards.client.post(path, json={"member_id": str(guild.member("cat"))})
    assert (last.status_code, last.json()["state"], await guild.has("ann")) == (200, "approved", 10)
    assert await rewards.refused("POST", path, json={"member_id": str(guild.member("ann"))}) == (409, "own_checkin")
    nowhere = path.replace(str(done.event_id), str(guild.id))
    assert await rewards.refused("POST", nowhere, json={"member_id": str(guild.member("cat"))}) == (
        404, "attempt_unknown",
    )  # fmt: skip
    await guild.know("dan")
    assert await rewards.refused("POST", path, json={"member_id": str(guild.member("dan"))}) == (
        409, "attempt_decided",
    )  # fmt: skip


async def test_only_referees_confirm_where_there_are_some_and_nobody_where_operators_decide(rewards: Rewards) -> None:
    guild = rewards.guild
    for name in ("ann", "bob", "ref"):
        await guild.know(name)
    await rewards.client.patch(
        "/v1/checkins/daily", json={"approval": {"by": "referee", "referees": [str(guild.member("ref"))]}}
    )
    done = guild.act("checkin.submitted", "ann")
    await guild.score(done)
    path = f"/v1/checkins/daily/attempts/{done.event_id}/confirmations"
    bob = await rewards.member("bob")
    refused = await bob.post(path, json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_referee")
    hidden = await bob.get("/v1/checkins/daily/attempts", params={"state": "pending"})
    assert hidden.json()["items"] == []
    await rewards.client.patch("/v1/checkins/daily", json={"approval": {"by": "operator"}})
    ref = await rewards.member("ref")
    assert (await ref.post(path, json={})).json()["code"] == "not_confirmable"
    await rewards.client.patch(
        "/v1/checkins/daily", json={"approval": {"by": "referee", "referees": [str(guild.member("ref"))]}}
    )
    assert (await ref.post(path, json={})).json()["state"] == "approved"
