"""M1 over HTTP: every step between two states is either made and written down, or refused with the legal ones."""

import asyncio

import pytest

from kit.contracts.members import MemberChanged, MemberTokensRevoked
from services.members.domain import LEGAL, STATES, WITHOUT_TOKENS
from tests.members.support import Members

ROADS = {
    "observed": (), "applied": (), "approved": (), "onboarding": (), "active": (),
    "waitlisted": ("applied", "waitlisted"), "rejected": ("applied", "rejected"), "cooling": ("active", "cooling"),
    "dormant": ("active", "dormant"), "left": ("active", "left"), "removed": ("active", "removed"),
    "banned": ("active", "banned"), "erased": ("active", "erased"),
}  # fmt: skip
"""How a member is brought into each state: made as the first (or as the state itself), moved to the second."""


async def standing(members: Members, state: str) -> str:
    """The id of a new member in that state."""
    road = ROADS[state]
    made = await members.add(state=road[0] if road else state)
    if road:
        body = {"to": road[1], "reason": "on the way"}
        assert (await members.client.post(f"/v1/members/{made['id']}/transitions", json=body)).status_code == 200
    return str(made["id"])


@pytest.mark.parametrize("before", STATES)
async def test_each_step_is_made_with_actor_reason_and_time_or_refused_with_the_legal_ones(
    members: Members, before: str
) -> None:
    for after in STATES:
        member_id = await standing(members, before)
        path = f"/v1/members/{member_id}/transitions"
        reply = await members.client.post(path, json={"to": after, "reason": f"because of {after}"})
        latest = (await members.get(path))["items"][0]
        if after in LEGAL[before]:
            assert (reply.status_code, reply.json()["state"]) == (200, after)
            assert (latest["from_state"], latest["to_state"]) == (before, after)
            assert (latest["reason"], latest["rule"]) == (f"because of {after}", None)
            assert latest["actor"].startswith("key:")
            assert latest["effective_at"] == latest["created_at"] == reply.json()["state_at"]
        else:
            assert (reply.status_code, reply.json()["code"]) == (409, "transition_illegal")
            assert reply.json()["legal"] == list(LEGAL[before])
            assert latest["to_state"] == before
    out = [str(e.member_id) for e in await members.announced(MemberTokensRevoked)]
    moved = [e for e in await members.announced(MemberChanged) if e.state in WITHOUT_TOKENS]
    assert set(out) == {str(e.member_id) for e in moved}


@pytest.mark.parametrize("body", [{"to": "active"}, {"to": "active", "reason": ""}, {"to": "king", "reason": "x"}])
async def test_a_step_without_a_reason_or_to_no_state_is_refused(members: Members, body: dict[str, str]) -> None:
    made = await members.add(state="applied")
    assert (await members.client.post(f"/v1/members/{made['id']}/transitions", json=body)).status_code == 422


async def test_of_two_who_decide_at_once_the_second_is_told_what_is_legal_now(members: Members) -> None:
    made = await members.add(state="applied")
    path = f"/v1/members/{made['id']}/transitions"
    steps = [{"to": "approved", "reason": "yes"}, {"to": "rejected", "reason": "no"}]
    replies = await asyncio.gather(*(members.client.post(path, json=step) for step in steps))
    assert sorted(r.status_code for r in replies) == [200, 409]
    assert len((await members.get(path))["items"]) == 2


async def test_the_same_step_sent_twice_under_one_key_is_made_once(members: Members) -> None:
    made = await members.add(state="applied")
    path = f"/v1/members/{made['id']}/transitions"
    body, key = {"to": "approved", "reason": "yes"}, {"Idempotency-Key": "once"}
    replies = [await members.client.post(path, json=body, headers=key) for _ in range(2)]
    assert [r.status_code for r in replies] == [200, 200]
    assert len((await members.get(path))["items"]) == 2


async def test_what_an_operator_decides_says_who(members: Members) -> None:
    made = await members.add(state="applied")
    owner = await members.owner()
    path = f"/v1/members/{made['id']}/transitions"
    assert (await owner.post(path, json={"to": "approved", "reason": "met them"})).status_code == 200
    assert (await members.get(path))["items"][0]["actor"] == "operator:owner"
