"""Communities and members over HTTP: what is answered, what is refused, what is announced."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from kit.contracts.members import CommunityChanged, DayChangeDue, MemberChanged, MemberTokensRevoked
from tests.members.support import Members


async def test_a_community_shows_its_charter_and_a_lost_update_is_refused(members: Members) -> None:
    path = f"/v1/communities/{members.community}"
    first = await members.client.get(path)
    assert (first.status_code, first.json()["name"], first.json()["day_start"]) == (200, "Night Readers", "00:00")
    tag = {"If-Match": first.headers["etag"]}
    done = await members.client.patch(path, json={"purpose": "Read.", "gets": "Company."}, headers=tag)
    assert (done.status_code, done.json()["purpose"], done.json()["version"]) == (200, "Read.", 2)
    late = await members.client.patch(path, json={"purpose": "Write."}, headers=tag)
    assert (late.status_code, late.json()["code"]) == (412, "version_changed")
    assert (await members.announced(CommunityChanged))[-1].purpose == "Read."


async def test_a_patch_that_changes_nothing_makes_no_version(members: Members) -> None:
    path = f"/v1/communities/{members.community}"
    same = await members.client.patch(path, json={"name": "Night Readers", "zone": "UTC"})
    assert (same.status_code, same.json()["version"]) == (200, 1)
    assert len(await members.announced(CommunityChanged)) == 1


async def test_another_zone_holds_from_the_next_day_of_the_community(members: Members) -> None:
    path = f"/v1/communities/{members.community}"
    planned = (await members.client.patch(path, json={"zone": "Asia/Shanghai", "day_start": "04:00"})).json()
    assert (planned["zone"], planned["day_start"]) == ("UTC", "00:00")
    assert planned["next_day"] == {"zone": "Asia/Shanghai", "day_start": "04:00", "begins": "2026-11-24T00:00:00Z"}
    [due] = await members.announced(DayChangeDue)
    members.clock.advance(timedelta(hours=15))
    await members.hear(due)
    there = (await members.client.get(path)).json()
    assert (there["zone"], there["day_start"], there["next_day"]) == ("Asia/Shanghai", "04:00", None)
    latest = (await members.announced(CommunityChanged))[-1]
    assert (latest.zone, latest.day_start, latest.version) == ("Asia/Shanghai", 240, 3)


async def test_a_zone_taken_back_before_the_day_changes_nothing(members: Members) -> None:
    path = f"/v1/communities/{members.community}"
    await members.client.patch(path, json={"zone": "Asia/Shanghai"})
    [due] = await members.announced(DayChangeDue)
    back = (await members.client.patch(path, json={"zone": "UTC"})).json()
    assert back["next_day"] is None
    assert await members.announced(DayChangeDue) == []
    await members.hear(due)
    assert (await members.client.get(path)).json()["zone"] == "UTC"


async def move(members: Members, **wanted: str) -> tuple[int, Any]:
    """A change that is asked for: the status, and the refusal's code or what is planned."""
    reply = await members.client.patch(f"/v1/communities/{members.community}", json=wanted)
    body = reply.json()
    return reply.status_code, body["code"] if reply.status_code == 409 else body["next_day"]


async def next_day(members: Members) -> None:
    """What is planned begins to hold."""
    [*_, due] = await members.announced(DayChangeDue)
    members.clock.now = due.due_at
    await members.hear(due)


async def test_a_day_changes_again_after_seven_days_and_the_first_change_is_free(members: Members) -> None:
    assert (await move(members, zone="Asia/Shanghai"))[0] == 200
    await next_day(members)
    refused = await members.client.patch(f"/v1/communities/{members.community}", json={"day_start": "04:00"})
    assert (refused.status_code, refused.json()["code"]) == (409, "day_changed_lately")
    # It holds since the 24th (eight in the morning there): asked for on the 30th, the next one holds from the first on.
    possible = datetime.fromisoformat(refused.json()["possible_from"])
    assert possible == datetime(2026, 11, 29, 16, tzinfo=UTC)
    assert "2026-11-29T16:00:00Z" in refused.json()["detail"]
    members.clock.now = possible - timedelta(seconds=1)
    assert await move(members, day_start="04:00") == (409, "day_changed_lately")
    members.clock.now = possible
    begins = "2026-11-30T16:00:00Z"
    assert await move(members, day_start="04:00") == (
        200, {"zone": "Asia/Shanghai", "day_start": "04:00", "begins": begins},
    )  # fmt: skip
    await next_day(members)
    assert await move(members, zone="UTC") == (409, "day_changed_lately")


async def test_within_the_seven_days_all_else_changes_and_so_does_the_same_zone(members: Members) -> None:
    await move(members, zone="Asia/Shanghai")
    await next_day(members)
    same = await members.client.patch(
        f"/v1/communities/{members.community}", json={"name": "Others", "zone": "Asia/Shanghai", "day_start": "00:00"}
    )
    assert (same.status_code, same.json()["name"], same.json()["next_day"]) == (200, "Others", None)


async def test_what_is_planned_is_corrected_and_taken_back_as_often_as_somebody_likes(members: Members) -> None:
    begins = "2026-11-24T00:00:00Z"
    for zone in ("Asia/Shanghai", "Asia/Tokyo", "UTC", "Asia/Tokyo", "Asia/Tokyo"):
        planned = {"zone": zone, "day_start": "00:00", "begins": begins} if zone != "UTC" else None
        assert await move(members, zone=zone) == (200, planned)
    assert await move(members, day_start="04:00") == (
        200, {"zone": "Asia/Tokyo", "day_start": "04:00", "begins": begins},
    )  # fmt: skip
    assert len(await members.announced(DayChangeDue)) == 1
    await next_day(members)
    assert (await members.client.get(f"/v1/communities/{members.community}")).json()["zone"] == "Asia/Tokyo"


async def test_what_holds_by_the_clock_is_not_taken_back_though_nobody_has_written_it_yet(members: Members) -> None:
    await move(members, zone="Asia/Shanghai")
    [due] = await members.announced(DayChangeDue)
    members.clock.now = due.due_at
    assert await move(members, zone="UTC") == (409, "day_changed_lately")
    assert (await move(members, zone="Asia/Shanghai"))[0] == 200
    await members.hear(due)
    assert (await members.client.get(f"/v1/communities/{members.community}")).json()["zone"] == "Asia/Shanghai"


async def test_of_two_who_change_the_day_at_once_one_plan_is_left(members: Members) -> None:
    await asyncio.gather(*[move(members, zone=zone) for zone in ("Asia/Shanghai", "Asia/Tokyo", "Europe/Berlin")])
    assert len(await members.announced(DayChangeDue)) == 1
    await next_day(members)
    assert await move(members, zone="UTC") == (409, "day_changed_lately")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zone", "Mars/Olympus"),
        ("zone", "../etc/passwd"),
        ("day_start", "24:00"),
        ("locale", "english please"),
        ("name", ""),
        ("name", "a\u0000b"),
        ("name", "   "),
        ("purpose", "x" * 4001),
        ("version", 7),
    ],
)
async def test_what_is_no_community_is_refused_where_it_is_wrong(members: Members, field: str, value: Any) -> None:
    reply = await members.client.patch(f"/v1/communities/{members.community}", json={field: value})
    assert reply.status_code == 422
    assert [e["pointer"] for e in reply.json()["errors"]] == [f"/{field}"]


async def test_only_an_operator_of_all_communities_founds_one_and_then_sees_both(members: Members) -> None:
    refused = await members.client.post("/v1/communities", json={"name": "Second"})
    assert (refused.status_code, refused.json()["code"]) == (403, "operator_required")
    owner = await members.owner()
    made = await owner.post("/v1/communities", json={"name": "Second", "zone": "Europe/Berlin"})
    assert made.status_code == 201, made.text
    listed = (await owner.get("/v1/communities")).json()
    assert sorted(c["name"] for c in listed["items"]) == ["Night Readers", "Second"]
    own = (await members.client.get("/v1/communities")).json()
    assert [c["id"] for c in own["items"]] == [str(members.community)]
    foreign = await members.client.get(f"/v1/communities/{made.json()['id']}")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "community_unknown")


async def test_a_member_is_added_read_changed_and_announced_each_time(members: Members) -> None:
    made = await members.add(identity={"platform": "qq", "external_id": "77"}, zone="Asia/Shanghai")
    path = f"/v1/members/{made['id']}"
    assert (made["state"], made["identities"], made["version"]) == ("active", ["qq:77"], 1)
    changed = await members.client.patch(
        path, json={"display_name": "Ada L.", "zone": None}, headers={"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.json()["zone"], changed.headers["etag"]) == (200, None, '"2"')
    assert (await members.client.patch(path, json={"kind": "bot"}, headers={"If-Match": '"1"'})).status_code == 412
    assert [(e.display_name, e.version) for e in await members.announced(MemberChanged)] == [("Ada", 1), ("Ada L.", 2)]


async def test_one_request_sent_twice_adds_one_member(members: Members) -> None:
    key = {"Idempotency-Key": "once"}
    replies = [await members.client.post("/v1/members", json={"display_name": "Ada"}, headers=key) for _ in range(2)]
    assert [r.status_code for r in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    assert replies[1].headers["idempotent-replayed"] == "true"
    assert len((await members.client.get("/v1/members")).json()["items"]) == 1


async def test_members_are_found_by_state_kind_name_and_identity(members: Members) -> None:
    ada = await members.add(display_name="Ada", identity={"platform": "qq", "external_id": "77"})
    await members.add(display_name="ÄDA two", kind="bot")
    await members.add(display_name="100%_sure", state="applied")

    async def names(**params: str) -> list[str]:
        reply = await members.client.get("/v1/members", params=params)
        assert reply.status_code == 200, reply.text
        return [m["display_name"] for m in reply.json()["items"]]

    assert await names(kind="bot") == ["ÄDA two"]
    assert await names(state="applied") == ["100%_sure"]
    assert await names(q="ad") == ["Ada"]
    assert await names(q="äd") == ["ÄDA two"]
    assert await names(q="100%_") == ["100%_sure"]
    assert await names(q="%") == []
    assert await names(q="\x00") == []
    assert await names(identity="qq:77") == [ada["display_name"]]
    assert await names(identity="qq:77", state="banned") == []
    assert await names(identity="qq:78") == []
    bad = await members.client.get("/v1/members", params={"identity": "77"})
    assert (bad.status_code, bad.json()["code"]) == (400, "identity_malformed")


@pytest.mark.parametrize("q", [None, "n"])
async def test_pages_forwards_and_backwards_show_everybody_once(members: Members, q: str | None) -> None:
    for number in range(7):
        members.clock.advance(timedelta(seconds=number % 2))
        await members.add(display_name=f"N{number}")
    params: dict[str, Any] = {"limit": 3} | ({"q": q} if q else {})
    page = (await members.client.get("/v1/members", params=params)).json()
    assert page["prev"] is None
    pages = [page]
    while page["next"]:
        page = (await members.client.get("/v1/members", params={**params, "cursor": page["next"]})).json()
        pages.append(page)
    seen = [m["id"] for p in pages for m in p["items"]]
    assert (len(seen), len(set(seen))) == (7, 7)
    back = (await members.client.get("/v1/members", params={**params, "cursor": pages[2]["prev"]})).json()
    assert back["items"] == pages[1]["items"]
    first = (await members.client.get("/v1/members", params={**params, "cursor": back["prev"]})).json()
    assert (first["items"], first["prev"]) == (pages[0]["items"], None)


@pytest.mark.parametrize(
    "cursor",
    ["x", "W10", "WyJuZXh0IiwiMjAyMC0wMS0wMSIsIngiXQ", "WyJuZXh0IiwyLDNd", "eyJhIjoxfQ", "bnVsbA", "ÿ"],
)
async def test_a_cursor_that_is_not_ours_is_refused(members: Members, cursor: str) -> None:
    for path in ("/v1/members", "/v1/keys", "/v1/communities"):
        reply = await members.client.get(path, params={"cursor": cursor})
        assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid")


async def test_an_illegal_step_names_the_legal_ones_and_a_legal_one_is_kept_with_its_reason(members: Members) -> None:
    made = await members.add(state="applied")
    path = f"/v1/members/{made['id']}/transitions"
    wrong = await members.client.post(path, json={"to": "active", "reason": "hurry"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "transition_illegal")
    assert wrong.json()["legal"] == ["waitlisted", "approved", "rejected", "left", "banned", "erased"]
    members.clock.advance(timedelta(minutes=5))
    done = await members.client.post(path, json={"to": "approved", "reason": "good letter"})
    assert (done.status_code, done.json()["state"], done.json()["version"]) == (200, "approved", 2)
    latest, first = (await members.client.get(path)).json()["items"]
    assert (first["from_state"], first["to_state"], first["reason"]) == (None, "applied", "created")
    assert (latest["from_state"], latest["to_state"], latest["reason"]) == ("applied", "approved", "good letter")
    assert latest["actor"].startswith("key:")
    assert latest["rule"] is None
    assert latest["effective_at"] == "2026-11-23T09:05:00Z"


@pytest.mark.parametrize("to", ["banned", "removed", "erased"])
async def test_who_is_put_out_loses_the_tokens_at_hand_and_gets_no_more(members: Members, to: str) -> None:
    made = await members.add()
    token = (await members.client.post("/v1/tokens", json={"member_id": made["id"]})).json()["token"]
    own = members.with_key(token)
    assert (await own.get(f"/v1/members/{made['id']}")).status_code == 200
    members.clock.advance(timedelta(seconds=3))
    await members.client.post(f"/v1/members/{made['id']}/transitions", json={"to": to, "reason": "spam"})
    refused = await own.get(f"/v1/members/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (401, "token_revoked")
    no_more = await members.client.post("/v1/tokens", json={"member_id": made["id"]})
    assert (no_more.status_code, no_more.json()["code"]) == (409, "member_out")
    assert [str(e.member_id) for e in await members.announced(MemberTokensRevoked)] == [made["id"]]


async def test_a_member_token_reads_and_changes_its_own_member_and_nobody_else(members: Members) -> None:
    mine, other = await members.add(), await members.add(display_name="Grace")
    token = (await members.client.post("/v1/tokens", json={"member_id": mine["id"]})).json()["token"]
    own = members.with_key(token)
    renamed = await own.patch(f"/v1/members/{mine['id']}", json={"display_name": "Countess"})
    assert (renamed.status_code, renamed.json()["display_name"]) == (200, "Countess")
    assert (await own.patch(f"/v1/members/{mine['id']}", json={"kind": "bot"})).status_code == 403
    assert (await own.get(f"/v1/members/{other['id']}")).status_code == 404
    assert (await own.patch(f"/v1/members/{other['id']}", json={"display_name": "x"})).status_code == 404
    assert (await own.get("/v1/members")).status_code == 403
    assert (
        await own.post(f"/v1/members/{mine['id']}/transitions", json={"to": "left", "reason": "x"})
    ).status_code == 403


async def test_no_route_shows_or_changes_what_belongs_to_another_community(members: Members) -> None:
    owner = await members.owner()
    second = (await owner.post("/v1/communities", json={"name": "Second"})).json()["id"]
    there = {"Guildhall-Community": second}
    body: dict[str, Any] = {"display_name": "Eve", "identity": {"platform": "qq", "external_id": "9"}}
    eve = (await owner.post("/v1/members", json=body, headers=there)).json()["id"]
    key_body = {"name": "other", "scopes": ["members:read"]}
    key = (await owner.post("/v1/keys", json=key_body, headers=there)).json()["id"]
    code = (await owner.post("/v1/identities/codes", json={"member_id": eve}, headers=there)).json()["code"]
    identity = {"platform": "qq", "external_id": "9"}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/communities/{second}", {}),
        ("PATCH", f"/v1/communities/{second}", {"json": {"name": "mine"}}),
        ("GET", f"/v1/members/{eve}", {}),
        ("PATCH", f"/v1/members/{eve}", {"json": {"display_name": "x"}}),
        ("POST", f"/v1/members/{eve}/transitions", {"json": {"to": "left", "reason": "x"}}),
        ("GET", f"/v1/members/{eve}/transitions", {}),
        ("POST", f"/v1/members/{eve}/identities", {"json": {"platform": "qq", "external_id": "10"}}),
        ("DELETE", f"/v1/members/{eve}/identities", {"params": identity}),
        ("GET", "/v1/identities", {"params": identity}),
        ("POST", "/v1/identities/codes", {"json": {"member_id": eve}}),
        ("GET", f"/v1/keys/{key}", {}),
        ("POST", f"/v1/keys/{key}/rotate", {"json": {}}),
        ("DELETE", f"/v1/keys/{key}", {}),
        ("POST", "/v1/tokens", {"json": {"member_id": eve}}),
        ("POST", "/v1/tokens", {"json": {"identity": identity}}),
        ("POST", "/v1/tokens/revocations", {"json": {"member_id": eve}}),
    ]
    for method, path, more in requests:
        foreign = await members.client.request(method, path, **more)
        assert foreign.status_code == 404, (method, path, foreign.text)
        unknown = path.replace(eve, str(uuid4())).replace(key, str(uuid4())).replace(second, str(uuid4()))
        if unknown != path:
            nothing = await members.client.request(method, unknown, **more)
            assert (nothing.status_code, nothing.json()["code"]) == (404, foreign.json()["code"])
        named = await members.client.request(method, path, headers=there, **more)
        assert named.status_code == 404, (method, path)
    said = {"code": code, "platform": "qq", "external_id": "11"}
    assert (await members.client.post("/v1/identities/confirmations", json=said)).status_code == 422
    assert (await members.client.get("/v1/members")).json()["items"] == []
    assert key not in [k["id"] for k in (await members.client.get("/v1/keys")).json()["items"]]
    untouched = (await owner.get(f"/v1/members/{eve}", headers=there)).json()
    assert (untouched["version"], untouched["state"]) == (1, "active")
