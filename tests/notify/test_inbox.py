"""The inbox of a member: what is in it, marks that are never taken back, and nobody else's eyes."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.notify.support import Notify, asked

MARKS = ("seen", "read", "clicked", "acked")


async def filled(notify: Notify, member: UUID, count: int) -> list[dict[str, Any]]:
    """So many messages, oldest first, a second apart."""
    out = []
    for _ in range(count):
        notify.clock.advance(timedelta(seconds=1))
        out.append(await notify.place.send(member))
    return out


async def test_an_inbox_is_paged_newest_first_and_filtered_by_unread(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    made = await filled(notify, ann, 5)
    await notify.place.client.post(f"/v1/inbox/{made[3]['id']}/read")
    path = {"member": str(ann), "limit": 2}
    first = await notify.place.get("/v1/inbox", **path)
    second = await notify.place.get("/v1/inbox", **path, cursor=first["next"])
    third = await notify.place.get("/v1/inbox", **path, cursor=second["next"])
    assert [m["position"] for page in (first, second, third) for m in page["items"]] == [5, 4, 3, 2, 1]
    assert third["next"] is None
    assert [m["position"] for m in await notify.place.inbox(ann, unread=True)] == [5, 3, 2, 1]
    assert await notify.place.unread(ann) == 4


@pytest.mark.parametrize(
    ("mark", "implied"),
    [
        ("seen", {"seen"}),
        ("read", {"seen", "read"}),
        ("clicked", {"seen", "read", "clicked"}),
        ("acked", {"seen", "read", "acked"}),
    ],
)
async def test_a_mark_sets_what_it_implies_at_its_time_and_shows_in_the_trace(
    notify: Notify, mark: str, implied: set[str]
) -> None:
    ann = await notify.place.member("Ann")
    [made] = await filled(notify, ann, 1)
    at = notify.clock().isoformat().replace("+00:00", "Z")
    reply = await notify.place.client.post(f"/v1/inbox/{made['id']}/{mark}")
    assert reply.status_code == 200
    assert {m: reply.json()[f"{m}_at"] for m in MARKS} == {m: at if m in implied else None for m in MARKS}
    assert await notify.place.unread(ann) == (0 if "read" in implied else 1)
    steps = (await notify.place.get(f"/v1/messages/{made['id']}/trace"))["steps"]
    assert {s["step"] for s in steps} - {"member", "send"} == implied


async def test_a_mark_set_twice_keeps_its_first_time_and_counts_once(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    made = await filled(notify, ann, 2)
    first = (await notify.place.client.post(f"/v1/inbox/{made[0]['id']}/read")).json()
    notify.clock.advance(timedelta(minutes=5))
    for mark in ("read", "seen", "acked"):
        again = (await notify.place.client.post(f"/v1/inbox/{made[0]['id']}/{mark}")).json()
        assert (again["read_at"], again["seen_at"]) == (first["read_at"], first["seen_at"])
    assert again["acked_at"] > first["read_at"]
    assert await notify.place.unread(ann) == 1


async def test_everything_is_read_up_to_a_message_and_what_came_after_stays_unread(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    made = await filled(notify, ann, 5)
    await notify.place.client.post(f"/v1/inbox/{made[0]['id']}/seen")
    seen_at = (await notify.place.get(f"/v1/messages/{made[0]['id']}"))["seen_at"]
    notify.clock.advance(timedelta(minutes=1))
    who = {"member": str(ann)}
    reply = await notify.place.client.post("/v1/inbox/read-all", params=who, json={"up_to": made[2]["id"]})
    assert (reply.status_code, reply.json()) == (200, {"read": 3, "unread": 2})
    inbox = {m["position"]: m for m in await notify.place.inbox(ann)}
    assert [p for p in inbox if inbox[p]["read_at"] is None] == [5, 4]
    assert inbox[1]["seen_at"] == seen_at
    assert inbox[2]["seen_at"] == inbox[2]["read_at"]
    rest = await notify.place.client.post("/v1/inbox/read-all", params=who, json={})
    assert rest.json() == {"read": 2, "unread": 0}
    nothing = await notify.place.client.post("/v1/inbox/read-all", params=who, json={})
    assert nothing.json() == {"read": 0, "unread": 0}


async def test_reading_up_to_what_is_not_in_this_inbox_is_refused(notify: Notify) -> None:
    ann, ben = await notify.place.member("Ann"), await notify.place.member("Ben")
    [bens] = await filled(notify, ben, 1)
    held = await notify.place.send(ann, not_before="2026-12-01T00:00:00Z")
    for wrong in (bens["id"], held["id"], str(uuid4())):
        reply = await notify.place.client.post("/v1/inbox/read-all", params={"member": str(ann)}, json={"up_to": wrong})
        assert (reply.status_code, reply.json()["code"]) == (404, "message_unknown")
    marked = await notify.place.client.post(f"/v1/inbox/{held['id']}/read")
    assert (marked.status_code, marked.json()["code"]) == (404, "message_unknown")
    assert await notify.place.unread(ben) == 1


async def test_a_member_token_has_its_own_inbox_and_no_other(notify: Notify) -> None:
    ann, ben = await notify.place.member("Ann"), await notify.place.member("Ben")
    [anns], [bens] = await filled(notify, ann, 1), await filled(notify, ben, 1)
    own = await notify.token(notify.place, ann)
    assert [m["id"] for m in (await notify.place.get("/v1/inbox", own))["items"]] == [anns["id"]]
    assert (await notify.place.get("/v1/inbox/unread", own)) == {"unread": 1}
    named = await own.get("/v1/inbox", params={"member": str(ann)})
    assert named.status_code == 200
    refused: list[tuple[str, str, int, str]] = [
        ("GET", f"/v1/inbox?member={ben}", 403, "not_yours"),
        ("GET", f"/v1/inbox/unread?member={ben}", 403, "not_yours"),
        ("GET", f"/v1/inbox/stream?member={ben}", 403, "not_yours"),
        ("POST", f"/v1/inbox/read-all?member={ben}", 403, "not_yours"),
        ("POST", f"/v1/inbox/{bens['id']}/read", 404, "message_unknown"),
        ("GET", f"/v1/messages/{anns['id']}", 403, "scope_missing"),
        ("GET", "/v1/messages", 403, "scope_missing"),
        ("GET", f"/v1/messages/{anns['id']}/trace", 403, "scope_missing"),
        ("POST", f"/v1/messages/{anns['id']}/cancel", 403, "scope_missing"),
        ("GET", "/v1/templates", 403, "scope_missing"),
    ]
    for method, path, status, code in refused:
        reply = await own.request(method, path, **({"json": {}} if method == "POST" else {}))
        assert (reply.status_code, reply.json()["code"]) == (status, code), path
    upto = await own.post("/v1/inbox/read-all", json={"up_to": bens["id"]})
    assert upto.status_code == 404
    assert (await own.post("/v1/messages", json=asked(ann))).status_code == 403
    assert await notify.place.unread(ben) == 1
    assert (await own.post(f"/v1/inbox/{anns['id']}/acked")).json()["read_at"] is not None


async def test_a_key_names_the_member_and_needs_the_scope(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    [made] = await filled(notify, ann, 1)
    nobody = await notify.place.client.get("/v1/inbox")
    assert (nobody.status_code, nobody.json()["code"]) == (400, "member_required")
    reading = await notify.key(notify.place.id, "notify:read")
    assert len((await notify.place.get("/v1/inbox", reading, member=str(ann)))["items"]) == 1
    assert (await reading.post(f"/v1/inbox/{made['id']}/read")).status_code == 403
    assert (await reading.post("/v1/messages", json=asked(ann))).status_code == 403
    assert (await reading.post("/v1/preview", json=asked(ann))).status_code == 200
    none = await notify.key(notify.place.id, "events:write")
    assert (await none.get("/v1/inbox", params={"member": str(ann)})).status_code == 403
    assert (await notify.client("").get("/v1/inbox")).status_code == 401


async def test_nothing_of_another_community_is_ever_seen_or_changed(notify: Notify) -> None:
    there = await notify.new_place()
    eve = await there.member("Eve")
    hers = await there.send(eve)
    held = await there.send(eve, not_before="2026-12-01T00:00:00Z")
    await there.publish("secret.text", texts={"en": {"title": "a", "body": "b"}})
    ours = notify.place.client
    for method, path in (
        ("GET", f"/v1/messages/{hers['id']}"),
        ("GET", f"/v1/messages/{hers['id']}/trace"),
        ("POST", f"/v1/messages/{held['id']}/cancel"),
        ("POST", f"/v1/inbox/{hers['id']}/read"),
        ("GET", f"/v1/inbox?member={eve}"),
        ("GET", f"/v1/inbox/unread?member={eve}"),
        ("GET", f"/v1/inbox/stream?member={eve}"),
        ("GET", "/v1/templates/secret.text"),
        ("GET", "/v1/templates/secret.text/versions"),
        ("GET", "/v1/templates/secret.text/versions/1"),
    ):
        reply = await ours.request(method, path)
        unlike = path.replace(hers["id"], str(uuid4())).replace("secret.", "no.").replace(str(eve), str(uuid4()))
        nothing = await ours.request(method, unlike)
        assert (reply.status_code, reply.json()["code"]) == (nothing.status_code, nothing.json()["code"]), path
        assert reply.status_code == 404
        named = await ours.request(method, path, headers={"Guildhall-Community": str(there.id)})
        assert named.status_code == 404
    assert (await notify.place.get("/v1/messages"))["items"] == []
    assert "secret.text" not in [t["name"] for t in (await notify.place.get("/v1/templates"))["items"]]
    sent = await ours.post("/v1/messages", json=asked(eve))
    assert (sent.status_code, sent.json()["code"]) == (422, "member_unknown")
    assert (await there.get(f"/v1/messages/{held['id']}"))["state"] == "held"
    assert await there.unread(eve) == 1


async def test_a_member_of_two_communities_has_two_inboxes(notify: Notify) -> None:
    there = await notify.new_place()
    ann = await notify.place.member("Ann")
    await there.member("Ann", id=ann)
    await there.send(ann)
    own = await notify.token(notify.place, ann)
    assert (await notify.place.get("/v1/inbox", own))["items"] == []
    assert (await notify.place.send(ann))["position"] == 1
    assert await there.unread(ann) == 1
