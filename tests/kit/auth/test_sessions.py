"""Operators' sessions: a cookie, a role, and no other site's page acting through it (K22)."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from kit.auth import COMMUNITY_SCOPES, COOKIE, FRESH, ROLES, hash_secret
from kit.contracts.members import SessionChanged
from tests.kit.stand import Stand

WHO = "/v1/scratch/who"
SECRET = "session-secret-of-an-operator"
COOKIES = {"Cookie": f"{COOKIE}={SECRET}"}


def session(stand: Stand, role: str = "owner", communities: tuple[UUID, ...] | None = None) -> SessionChanged:
    return SessionChanged(
        session_id=uuid4(),
        version=1,
        hash=hash_secret(SECRET),
        operator="ops@example.org",
        role=role,
        communities=(stand.community,) if communities is None else communities,
        expires_at=stand.clock.now + timedelta(hours=12),
        revoked_at=None,
    )


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_a_session_has_the_scopes_of_its_role(stand: Stand, role: str) -> None:
    await stand.known(session(stand, role))
    body = (await stand.client.get(WHO, headers=COOKIES)).json()
    assert (body["kind"], body["id"], body["scopes"]) == ("operator", "ops@example.org", sorted(ROLES[role]))


async def test_a_role_nobody_knows_may_do_nothing(stand: Stand) -> None:
    await stand.known(session(stand, "emperor"))
    assert (await stand.client.get(WHO, headers=COOKIES)).json()["scopes"] == []
    assert (await stand.client.get("/v1/scratch/read", headers=COOKIES)).status_code == 403


def test_each_role_may_less_than_the_one_above() -> None:
    assert ROLES["owner"] == COMMUNITY_SCOPES
    assert ROLES["analyst"] < ROLES["moderator"] < ROLES["admin"] < ROLES["owner"]
    assert not [scope for scope in ROLES["analyst"] if not scope.endswith(":read")]


async def test_a_session_ends_when_it_expires_or_is_revoked(stand: Stand) -> None:
    made = session(stand)
    await stand.known(made)
    assert (await stand.client.get(WHO, headers=COOKIES)).status_code == 200
    await stand.known(replace(made, version=2, revoked_at=stand.clock.now))
    stand.clock.advance(FRESH)
    assert (await stand.client.get(WHO, headers=COOKIES)).json()["code"] == "session_ended"
    await stand.known(replace(made, version=3, revoked_at=None))
    stand.clock.advance(timedelta(hours=12))
    assert (await stand.client.get(WHO, headers=COOKIES)).json()["code"] == "session_expired"


async def test_a_cookie_that_is_no_session_is_refused(stand: Stand) -> None:
    reply = await stand.client.get(WHO, headers={"Cookie": f"{COOKIE}=rubbish"})
    assert (reply.status_code, reply.json()["code"]) == (401, "session_ended")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://stand.example.evil.example"},
    ],
)
async def test_another_sites_page_changes_nothing_through_the_cookie(stand: Stand, headers: dict[str, str]) -> None:
    await stand.known(session(stand))
    reply = await stand.client.post(WHO, headers={**COOKIES, **headers})
    assert (reply.status_code, reply.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://stand.example"}]
)
async def test_our_own_pages_may(stand: Stand, headers: dict[str, str]) -> None:
    await stand.known(session(stand))
    assert (await stand.client.post(WHO, headers={**COOKIES, **headers})).status_code == 200


async def test_a_key_beside_a_cookie_decides_alone(stand: Stand) -> None:
    """A bot's request is not a browser's: it needs no origin, and the cookie lends it nothing."""
    await stand.known(session(stand))
    _, headers = await stand.key_known(stand.community, scopes=frozenset())
    reply = await stand.client.post(WHO, headers={**COOKIES, **headers})
    assert (reply.status_code, reply.json()["kind"], reply.json()["scopes"]) == (200, "key", [])
