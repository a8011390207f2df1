"""Operators (K22): a link that signs in once, a cookie no other site can use, an end that is an end."""

import asyncio
from datetime import timedelta

import httpx2

from kit.auth import COOKIE, hash_secret
from kit.contracts.members import SessionChanged
from tests.members.support import OWN_PAGE, Members

SIGN_IN = "/v1/sessions/sign-in"
ELSEWHERE = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}


async def use(browser: httpx2.AsyncClient, token: str, headers: dict[str, str] = OWN_PAGE) -> httpx2.Response:
    return await browser.post(SIGN_IN, data={"token": token}, headers=headers)


async def test_looking_at_the_link_does_not_use_it_up_and_using_it_does(members: Members) -> None:
    browser = members.anonymous()
    for _ in range(3):
        page = await browser.get(SIGN_IN, params={"token": members.sign_in_token})
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert members.sign_in_token in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert COOKIE not in browser.cookies
    done = await use(browser, members.sign_in_token)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    again = members.anonymous()
    assert (await use(again, members.sign_in_token)).status_code == 401
    assert (await again.get(SIGN_IN, params={"token": members.sign_in_token})).status_code == 410
    assert COOKIE not in again.cookies


async def test_the_cookie_is_for_this_site_and_no_script(members: Members) -> None:
    reply = await use(members.anonymous(), members.sign_in_token)
    attributes = {part.strip().lower() for part in reply.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=1209600"} <= attributes
    assert "secure" not in attributes
    assert COOKIE in reply.headers["set-cookie"]


async def test_of_many_who_use_one_link_at_once_one_signs_in(members: Members) -> None:
    browsers = [members.anonymous() for _ in range(6)]
    replies = await asyncio.gather(*(use(b, members.sign_in_token) for b in browsers))
    assert sorted(r.status_code for r in replies) == [303] + [401] * 5


async def test_a_link_is_over_after_fifteen_minutes(members: Members) -> None:
    members.clock.advance(timedelta(minutes=15))
    assert (await members.anonymous().get(SIGN_IN, params={"token": members.sign_in_token})).status_code == 410
    assert (await use(members.anonymous(), members.sign_in_token)).status_code == 401


async def test_what_was_never_a_link_says_the_same_and_nothing_of_it_comes_back_as_markup(members: Members) -> None:
    for token in ("", "x", "<script>alert(1)</script>", '"><b>', "%00", "ÿ" * 50):
        page = await members.anonymous().get(SIGN_IN, params={"token": token})
        assert page.status_code == 410
        assert "<script" not in page.text
        assert (await use(members.anonymous(), token)).status_code == 401
    assert (await members.anonymous().get(SIGN_IN, params={"token": "x" * 201})).status_code == 422


async def test_who_is_signed_in_may_read_and_change_from_our_own_page_only(members: Members) -> None:
    browser = members.anonymous()
    await use(browser, members.sign_in_token)
    current = (await browser.get("/v1/sessions/current")).json()
    assert (current["operator"], current["role"], current["communities"]) == ("owner", "owner", [])
    assert (await browser.get("/v1/members", headers=ELSEWHERE)).status_code == 200
    body = {"display_name": "Ada"}
    for headers in ({}, ELSEWHERE, {"Origin": "null"}, {"Origin": "http://members.example.evil.example"}):
        refused = await browser.post("/v1/members", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross_site"), headers
    for headers in (OWN_PAGE, {"Sec-Fetch-Site": "same-origin"}):
        assert (await browser.post("/v1/members", json=body, headers=headers)).status_code == 201
    assert len((await browser.get("/v1/members")).json()["items"]) == 2


async def test_no_other_site_signs_anybody_in_or_out(members: Members) -> None:
    browser = members.anonymous()
    refused = await use(browser, members.sign_in_token, ELSEWHERE)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    await use(browser, members.sign_in_token)
    assert (await browser.delete("/v1/sessions/current", headers=ELSEWHERE)).status_code == 403
    assert (await browser.get("/v1/sessions/current")).status_code == 200


async def test_who_signed_out_is_out_also_with_a_copy_of_the_cookie(members: Members) -> None:
    browser = await members.owner()
    secret = browser.cookies[COOKIE]
    assert (await browser.get("/v1/members")).status_code == 200
    assert (await browser.delete("/v1/sessions/current")).status_code == 204
    members.clock.advance(timedelta(seconds=2))
    thief = members.anonymous()
    thief.cookies.set(COOKIE, secret)
    for path in ("/v1/members", "/v1/sessions/current"):
        reply = await thief.get(path)
        assert (reply.status_code, reply.json()["code"]) == (401, "session_ended")
    assert (await browser.delete("/v1/sessions/current")).status_code == 204
    told = await members.announced(SessionChanged)
    assert [(e.hash, e.version, e.revoked_at is None) for e in told] == [
        (hash_secret(secret), 1, True),
        (hash_secret(secret), 2, False),
    ]


async def test_a_session_ends_after_fourteen_days(members: Members) -> None:
    browser = await members.owner()
    members.clock.advance(timedelta(days=14) - timedelta(seconds=1))
    assert (await browser.get("/v1/members")).status_code == 200
    members.clock.advance(timedelta(seconds=1))
    assert (await browser.get("/v1/members")).status_code == 401
    assert (await browser.get("/v1/sessions/current")).status_code == 401


async def test_a_key_asks_for_a_link_that_reaches_its_own_community_only(members: Members) -> None:
    owner = await members.owner()
    second = (await owner.post("/v1/communities", json={"name": "Second"})).json()["id"]
    link = (await members.client.post("/v1/sessions/links")).json()
    assert link["expires_in"] == 900
    browser = members.anonymous()
    token = link["url"].partition("token=")[2]
    assert link["url"].startswith("http://members.example/v1/sessions/sign-in?token=")
    await use(browser, token)
    assert (await browser.get("/v1/sessions/current")).json()["communities"] == [str(members.community)]
    there = {"Guildhall-Community": second}
    assert (await browser.get("/v1/members", headers=there)).status_code == 404
    assert [c["name"] for c in (await browser.get("/v1/communities")).json()["items"]] == ["Night Readers"]
    founding = await browser.post("/v1/communities", json={"name": "Third"}, headers=OWN_PAGE)
    assert (founding.status_code, founding.json()["code"]) == (403, "operator_required")


async def test_who_lacks_a_right_of_the_owner_gets_no_link(members: Members) -> None:
    body = {"name": "bot", "scopes": ["keys:write", "members:read"]}
    secret = (await members.client.post("/v1/keys", json=body)).json()["secret"]
    refused = await members.with_key(secret).post("/v1/sessions/links")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


async def test_an_operator_of_several_communities_names_one_to_act_in_it(members: Members) -> None:
    owner = await members.owner()
    second = (await owner.post("/v1/communities", json={"name": "Second"})).json()["id"]
    members.clock.advance(timedelta(seconds=2))
    unnamed = await owner.get("/v1/members")
    assert (unnamed.status_code, unnamed.json()["code"]) == (400, "community_required")
    there = {"Guildhall-Community": second}
    assert (await owner.post("/v1/members", json={"display_name": "Eve"}, headers=there)).status_code == 201
    assert (await members.get("/v1/members"))["items"] == []
