"""API keys: known by their hash, good for their communities and scopes, until they expire or are revoked (K20)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from kit.auth import COMMUNITY_SCOPES, FRESH, authenticator_of, hash_secret, new_key
from tests.kit.stand import Stand, bearer

WHO = "/v1/scratch/who"


async def ask(stand: Stand, headers: dict[str, str], path: str = WHO) -> tuple[int, dict[str, Any]]:
    reply = await stand.client.get(path, headers=headers)
    return reply.status_code, reply.json()


async def test_a_key_says_who_calls_for_which_community_with_which_scopes(stand: Stand) -> None:
    key, headers = await stand.key_known(stand.community, scopes=frozenset({"rewards:read"}), mode="test")
    assert await ask(stand, headers) == (
        200,
        {
            "kind": "key",
            "id": str(key.key_id),
            "community": str(stand.community),
            "member": None,
            "mode": "test",
            "scopes": ["rewards:read"],
        },
    )


async def test_a_key_begins_with_its_mode_is_long_and_is_stored_as_a_hash_only(stand: Stand) -> None:
    for mode in ("live", "test"):
        secret, digest = new_key(mode)
        assert secret.startswith(f"gh_{mode}_")
        assert len(secret) > 40
        assert digest == hash_secret(secret)
        assert secret not in digest
    assert len({new_key()[0] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "credential_missing"),
        ({"Authorization": "Basic eDp5"}, "authorization_malformed"),
        ({"Authorization": "Bearer"}, "authorization_malformed"),
        (bearer("gh_live_" + "x" * 43), "key_unknown"),
        (bearer("no.token.ofours"), "token_invalid"),
        (bearer("eyJhbGciOiJub25lIn0.e30."), "token_invalid"),
    ],
)
async def test_without_a_good_credential_nobody_comes_in(stand: Stand, headers: dict[str, str], code: str) -> None:
    reply = await stand.client.get(WHO, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (401, code)
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_key_expires_at_its_instant(stand: Stand) -> None:
    _, headers = await stand.key_known(stand.community, expires_in=timedelta(hours=1))
    stand.clock.advance(timedelta(minutes=59, seconds=59))
    assert (await ask(stand, headers))[0] == 200
    stand.clock.advance(timedelta(seconds=1))
    status, body = await ask(stand, headers)
    assert (status, body["code"]) == (401, "key_expired")


async def test_a_revocation_bites_within_two_seconds_of_being_known_here(stand: Stand) -> None:
    key, headers = await stand.key_known(stand.community)
    assert (await ask(stand, headers))[0] == 200
    await stand.known(replace(key, version=2, revoked_at=stand.clock.now))
    stand.clock.advance(FRESH)
    status, body = await ask(stand, headers)
    assert (status, body["code"]) == (401, "key_revoked")


async def test_a_key_that_is_to_be_revoked_later_works_beside_its_successor_until_then(stand: Stand) -> None:
    key, old = await stand.key_known(stand.community)
    await stand.known(replace(key, version=2, revoked_at=stand.clock.now + timedelta(hours=24)))
    _, new = await stand.key_known(stand.community)
    assert [(await ask(stand, h))[0] for h in (old, new)] == [200, 200]
    stand.clock.advance(timedelta(hours=24))
    assert [(await ask(stand, h))[0] for h in (old, new)] == [401, 200]


async def test_a_key_of_another_community_is_told_that_there_is_no_such_community(stand: Stand) -> None:
    other = await stand.community_known()
    _, headers = await stand.key_known(stand.community)
    for wanted in (other, uuid4()):
        status, body = await ask(stand, {**headers, "Guildhall-Community": str(wanted)})
        assert (status, body["code"]) == (404, "community_unknown")


async def test_a_key_of_several_communities_names_one(stand: Stand) -> None:
    other = await stand.community_known()
    third = await stand.community_known()
    _, headers = await stand.key_known(stand.community, other)
    status, body = await ask(stand, headers)
    assert (status, body["code"]) == (400, "community_required")
    for wanted in (stand.community, other):
        status, body = await ask(stand, {**headers, "Guildhall-Community": str(wanted)})
        assert (status, body["community"]) == (200, str(wanted))
    status, body = await ask(stand, {**headers, "Guildhall-Community": str(third)})
    assert (status, body["code"]) == (404, "community_unknown")
    status, body = await ask(stand, {**headers, "Guildhall-Community": "mine"})
    assert (status, body["code"]) == (400, "community_malformed")


async def test_a_key_of_all_communities_needs_no_name_while_there_is_one(stand: Stand) -> None:
    _, headers = await stand.key_known()
    assert (await ask(stand, headers))[1]["community"] == str(stand.community)
    other = await stand.community_known()
    stand.clock.advance(FRESH)
    assert (await ask(stand, headers))[1]["code"] == "community_required"
    named = {**headers, "Guildhall-Community": str(other)}
    assert (await ask(stand, named))[1]["community"] == str(other)


async def test_a_missing_scope_is_named(stand: Stand) -> None:
    _, headers = await stand.key_known(stand.community, scopes=frozenset({"rewards:read"}))
    assert (await ask(stand, headers, "/v1/scratch/read"))[0] == 200
    status, body = await ask(stand, headers, "/v1/scratch/both")
    assert (status, body["code"], body["scope"]) == (403, "scope_missing", "rewards:write")
    _, every = await stand.key_known(stand.community, scopes=COMMUNITY_SCOPES)
    assert (await ask(stand, every, "/v1/scratch/both"))[0] == 200


async def test_one_caller_never_gets_what_was_kept_for_another(stand: Stand) -> None:
    """The principal of a credential is kept for a moment: per credential and per named community."""
    other = await stand.community_known()
    _, one = await stand.key_known(stand.community, other)
    _, two = await stand.key_known(other, scopes=frozenset({"rewards:read"}))
    for _ in range(3):
        for headers, community in ((one, stand.community), (one, other)):
            named = {**headers, "Guildhall-Community": str(community)}
            assert (await ask(stand, named))[1]["community"] == str(community)
        status, body = await ask(stand, two)
        assert (body["community"], body["scopes"]) == (str(other), ["rewards:read"])
        status, body = await ask(stand, {**two, "Guildhall-Community": str(stand.community)})
        assert (status, body["code"]) == (404, "community_unknown")


async def test_the_use_of_a_key_is_announced_once_a_minute(stand: Stand) -> None:
    key, headers = await stand.key_known(stand.community)
    authenticator = authenticator_of(stand.one)

    def used() -> list[UUID]:
        return [event.key_id for event in authenticator.used(stand.clock.now)]

    await ask(stand, headers)
    assert used() == [key.key_id]
    stand.clock.advance(timedelta(seconds=30))
    await ask(stand, headers)
    assert used() == []
    stand.clock.advance(timedelta(seconds=30))
    assert used() == [key.key_id]
    assert used() == []
