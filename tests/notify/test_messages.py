"""Messages over HTTP: asked for, looked at beforehand, held, taken back, out of time, explained."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

from kit.contracts.notify import MessageDue
from tests.notify.support import Notify, asked

LATER = "2026-11-23T12:00:00Z"
TOMORROW = "2026-11-24T12:00:00Z"


async def test_a_message_is_made_with_its_place_and_its_trace(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    reply = await notify.place.client.post("/v1/messages", json=asked(ann))
    made = reply.json()
    assert (reply.status_code, reply.headers["location"]) == (201, f"/v1/messages/{made['id']}")
    assert (made["state"], made["reason"], made["position"], made["template_version"]) == ("delivered", None, 1, 1)
    assert await notify.place.get(reply.headers["location"]) == made
    trace = await notify.place.get(f"/v1/messages/{made['id']}/trace")
    assert trace["message"] == made
    assert [(s["step"], s["verdict"]) for s in trace["steps"]] == [("member", "passed"), ("send", "delivered")]


async def test_one_request_sent_twice_makes_one_message_and_two_requests_make_two(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    key = {"Idempotency-Key": "once"}
    replies = [await notify.place.client.post("/v1/messages", json=asked(ann), headers=key) for _ in range(2)]
    assert replies[0].json() == replies[1].json()
    assert replies[1].headers["idempotent-replayed"] == "true"
    await notify.place.send(ann)
    assert len(await notify.place.inbox(ann)) == 2


async def test_a_preview_says_what_would_be_and_sends_nothing(notify: Notify) -> None:
    ann = await notify.place.member("Ann", locale="zh-CN")
    reply = await notify.place.client.post("/v1/preview", json=asked(ann, not_before=LATER))
    seen = reply.json()
    assert (reply.status_code, seen["state"], seen["reason"]) == (200, "held", "scheduled")
    assert (seen["locale"], seen["title"]) == ("zh-CN", "积分 +50")
    assert [s["step"] for s in seen["steps"]] == ["member", "schedule"]
    assert await notify.rows("messages") == []
    assert await notify.rows("outbox") == []
    assert await notify.place.unread(ann) == 0
    made = await notify.place.send(ann, not_before=LATER)
    assert [made[name] for name in ("state", "title", "body")] == [seen[name] for name in ("state", "title", "body")]


async def test_a_preview_for_who_is_banned_says_so(notify: Notify) -> None:
    ann = await notify.place.member("Ann", state="banned")
    seen = (await notify.place.client.post("/v1/preview", json=asked(ann))).json()
    assert (seen["state"], seen["reason"]) == ("not_sent", "not_a_member")


async def test_a_held_message_is_in_no_inbox_until_its_time_has_come(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    held = await notify.place.send(ann, not_before=LATER)
    assert (held["state"], held["reason"], held["position"]) == ("held", "scheduled", None)
    await notify.pass_time(hours=2, minutes=59)
    assert (await notify.place.inbox(ann), await notify.place.unread(ann)) == ([], 0)
    await notify.place.send(ann)
    await notify.pass_time(minutes=2)
    newest, first = await notify.place.inbox(ann)
    assert (newest["id"], newest["position"], newest["state_at"]) == (held["id"], 2, "2026-11-23T12:01:00Z")
    assert first["position"] == 1
    trace = await notify.place.get(f"/v1/messages/{held['id']}/trace")
    assert [(s["step"], s["verdict"]) for s in trace["steps"]] == [
        ("member", "passed"), ("schedule", "held"), ("member", "passed"), ("send", "delivered"),
    ]  # fmt: skip


async def test_held_messages_due_at_once_come_in_the_order_of_their_times(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    hours = [14, 11, 13, 10, 12]
    made = {h: (await notify.place.send(ann, not_before=f"2026-11-23T{h}:00:00Z"))["id"] for h in hours}
    await notify.pass_time(days=1)
    assert [m["id"] for m in await notify.place.inbox(ann)] == [made[h] for h in sorted(hours, reverse=True)]
    assert await notify.place.unread(ann) == 5


async def test_who_was_banned_in_the_meantime_gets_nothing_when_it_is_due(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    held = await notify.place.send(ann, not_before=LATER)
    await notify.place.member("Ann", id=ann, version=2, state="banned")
    await notify.pass_time(hours=4)
    now = await notify.place.get(f"/v1/messages/{held['id']}")
    assert (now["state"], now["reason"], now["position"]) == ("not_sent", "not_a_member", None)
    assert await notify.place.inbox(ann) == []


async def test_a_message_out_of_time_when_it_is_due_expires(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    held = await notify.place.send(ann, not_before=LATER, expires_at="2026-11-23T13:00:00Z")
    notify.clock.advance(timedelta(hours=5))
    await notify.settle()
    now = await notify.place.get(f"/v1/messages/{held['id']}")
    assert (now["state"], now["reason"]) == ("expired", "expired")
    assert await notify.place.inbox(ann) == []


async def test_a_message_that_has_expired_already_is_kept_but_not_sent(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    made = await notify.place.send(ann, expires_at="2026-11-23T08:00:00Z")
    assert (made["state"], made["position"]) == ("expired", None)


async def test_a_held_message_taken_back_never_comes_and_taking_back_twice_is_once(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    held = await notify.place.send(ann, not_before=LATER)
    path = f"/v1/messages/{held['id']}/cancel"
    for _ in range(2):
        reply = await notify.place.client.post(path)
        assert (reply.status_code, reply.json()["state"], reply.json()["reason"]) == (200, "cancelled", "cancelled")
    await notify.pass_time(days=1)
    assert (await notify.place.get(f"/v1/messages/{held['id']}"))["state"] == "cancelled"
    assert await notify.place.inbox(ann) == []
    last = (await notify.place.get(f"/v1/messages/{held['id']}/trace"))["steps"][-1]
    assert last["step"] == "cancel"
    assert last["detail"].startswith("by key:")


async def test_what_arrived_cannot_be_taken_back(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    made = await notify.place.send(ann)
    reply = await notify.place.client.post(f"/v1/messages/{made['id']}/cancel")
    assert (reply.status_code, reply.json()["code"]) == (409, "state_final")
    assert (await notify.place.get(f"/v1/messages/{made['id']}"))["state"] == "delivered"


async def test_due_work_of_a_message_that_is_gone_meanwhile_changes_nothing(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    held = await notify.place.send(ann, not_before=LATER)
    await notify.pass_time(hours=4)
    before = await notify.rows("messages")
    await notify.hear(MessageDue(community_id=notify.place.id, message_id=before[0].id))
    assert await notify.rows("messages") == before
    assert str(before[0].id) == held["id"]
    assert await notify.place.unread(ann) == 1


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"variables": {"amount": 5, "unit": "points"}}, "variables_invalid", "/variables"),
    ({"variables": {"amount": "5", "unit": "xp", "reason": ""}}, "variables_invalid", "/variables/amount"),
    ({"variables": {"amount": 5, "unit": "xp", "reason": "", "more": 1}}, "variables_invalid", "/variables"),
    ({"variables": {"amount": 5, "unit": "xp", "reason": "a\0b"}}, "validation_failed", "/variables"),
    ({"variables": {"amount": 2**63, "unit": "xp", "reason": ""}}, "validation_failed", "/variables"),
    ({"variables": {"amount": 5, "unit": "xp", "reason": "\ud800"}}, "validation_failed", "/variables"),
    ({"variables": {"unit": "x" * 20_000}}, "variables_invalid", "/variables"),
    ({"template": "no.such"}, "template_unknown", None),
    ({"template": "No Name"}, "validation_failed", "/template"),
    ({"member_id": str(uuid4())}, "member_unknown", "/member_id"),
    ({"not_before": TOMORROW, "expires_at": LATER}, "times_contradict", "/expires_at"),
    ({"not_before": "2026-11-23T12:00:00"}, "validation_failed", "/not_before"),
    ({"not_before": "9999-12-31T23:59:59-12:00"}, "validation_failed", "/not_before"),
    ({"locale": "not a language"}, "validation_failed", "/locale"),
    ({"colour": "red"}, "validation_failed", "/colour"),
]


async def test_what_cannot_be_sent_is_refused_where_it_is_wrong(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    for fields, code, pointer in REFUSED:
        for path in ("/v1/messages", "/v1/preview"):
            # As a careless client writes JSON: half a character goes out as its escape.
            body = json.dumps({**asked(ann), **fields})
            reply = await notify.place.client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert (reply.status_code, reply.json()["code"]) == (422, code), (fields, reply.text)
            pointers = [e["pointer"] for e in reply.json().get("errors", [])]
            assert pointers == ([pointer] if pointer is not None else []), fields
    assert await notify.rows("messages") == []


async def test_messages_are_found_by_member_state_template_and_cause_and_paged(notify: Notify) -> None:
    ann, ben = await notify.place.member("Ann"), await notify.place.member("Ben")
    cause = str(uuid4())
    for number in range(5):
        notify.clock.advance(timedelta(seconds=1))
        await notify.place.send(ann if number % 2 else ben, cause_id=cause if number == 3 else None)
    held = await notify.place.send(ben, not_before=TOMORROW)
    find = notify.place.get
    assert len((await find("/v1/messages", member=str(ann)))["items"]) == 2
    assert [m["id"] for m in (await find("/v1/messages", state="held"))["items"]] == [held["id"]]
    assert len((await find("/v1/messages", cause=cause))["items"]) == 1
    assert (await find("/v1/messages", template="level.reached"))["items"] == []
    seen: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        page = await find("/v1/messages", limit=2, **({"cursor": page["next"]} if page["next"] else {}))
        seen += [m["id"] for m in page["items"]]
        if page["next"] is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 6


async def test_what_no_list_of_ours_ever_said_is_refused_and_harms_nothing(notify: Notify) -> None:
    for cursor in ("x", "W10", "WzFd", "WyJ4Il0", "bnVsbA"):
        reply = await notify.place.client.get("/v1/messages", params={"cursor": cursor})
        assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid"), cursor
    for path in ("/v1/messages?template=a%00b", "/v1/templates/a%00b", "/v1/templates/a%00b/versions"):
        assert (await notify.place.client.get(path)).status_code == 422, path
