"""Templates over HTTP: versions that never change, what is refused and where, and what happens when one fails."""

from typing import Any

import pytest

from services.notify.shipped import SHIPPED
from tests.notify.support import Notify, asked

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
HELLO = {"en": {"title": "Hello {{ name }}", "body": "Good to see you."}}
WORDS = {"en": {"title": "{{ reason }}!", "body": "{{ amount }}"}}


def variables_of(name: str) -> Any:
    return SHIPPED[name].variables


async def test_the_shipped_templates_are_there_from_the_beginning_as_version_one(notify: Notify) -> None:
    items = (await notify.place.get("/v1/templates"))["items"]
    assert [(t["name"], t["version"], t["actor"]) for t in items] == [
        (name, 1, "guildhall") for name in sorted(SHIPPED)
    ]
    one = await notify.place.get("/v1/templates/level.reached")
    assert one == next(t for t in items if t["name"] == "level.reached")
    assert set(one["texts"]) == {"en", "zh-CN"}


async def test_a_new_version_is_in_force_at_once_and_the_old_one_stays_as_it_was(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    first = await notify.place.publish("hall.hello", variables=PERSON, texts=HELLO)
    use = {"template": "hall.hello", "variables": {"name": "Ann"}}
    before = await notify.place.send(ann, **use)
    second = await notify.place.publish(
        "hall.hello", variables=PERSON, texts={"en": {"title": "Hi {{ name }}", "body": "x"}}
    )
    after = await notify.place.send(ann, **use)
    assert [(m["title"], m["template_version"]) for m in (before, after)] == [("Hello Ann", 1), ("Hi Ann", 2)]
    assert await notify.place.get(f"/v1/messages/{before['id']}") == before
    versions = (await notify.place.get("/v1/templates/hall.hello/versions"))["items"]
    assert versions == [second, first]
    assert await notify.place.get("/v1/templates/hall.hello/versions/1") == first
    assert await notify.place.get("/v1/templates/hall.hello") == second
    missing = await notify.place.client.get("/v1/templates/hall.hello/versions/3")
    assert (missing.status_code, missing.json()["code"]) == (404, "version_unknown")


async def test_no_route_changes_or_deletes_a_version(notify: Notify) -> None:
    await notify.place.publish("hall.hello", variables=PERSON, texts=HELLO)
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        for path in ("/v1/templates/hall.hello/versions/1", "/v1/templates/hall.hello/versions"):
            assert (await notify.place.client.request(method, path, json={})).status_code == 405


async def test_publishing_the_same_request_twice_makes_one_version(notify: Notify) -> None:
    body = {"category": "general", "variables": PERSON, "texts": HELLO}
    key = {"Idempotency-Key": "once"}
    replies = [await notify.place.client.post("/v1/templates/hall.hello", json=body, headers=key) for _ in range(2)]
    assert [r.json()["version"] for r in replies] == [1, 1]


async def test_a_held_message_says_what_it_said_when_it_was_made(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.place.publish("hall.hello", variables=PERSON, texts=HELLO)
    await notify.place.send(ann, template="hall.hello", variables={"name": "Ann"}, not_before="2026-11-23T10:00:00Z")
    await notify.place.publish("hall.hello", variables=PERSON, texts={"en": {"title": "Bye", "body": "x"}})
    await notify.pass_time(hours=2)
    assert [(m["title"], m["template_version"]) for m in await notify.place.inbox(ann)] == [("Hello Ann", 1)]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"texts": {"en": {"title": "{{ nobody }}", "body": "x"}}}, "template_invalid", "/texts/en/title"),
    ({"texts": {"en": {"title": "x", "body": "{{ name.__class__ }}"}}}, "template_invalid", "/texts/en/body"),
    ({"texts": {"en": {"title": "x", "body": "{{ 9 ** 9 ** 9 }}"}}}, "template_invalid", "/texts/en/body"),
    ({"texts": {"en": {"title": "x", "body": "{{ 'a' * 999999999 }}"}}}, "template_invalid", "/texts/en/body"),
    ({"texts": {"zh-CN": {"title": "{% set a = name %}", "body": "x"}}}, "template_invalid", "/texts/zh-CN/title"),
    ({"texts": {"en": {"title": "{{ name", "body": "x"}}}, "template_invalid", "/texts/en/title"),
    ({"texts": {"en": {"title": "x" * 501, "body": "x"}}}, "validation_failed", "/texts/en/title"),
    ({"texts": {"en": {"title": "a\0b", "body": "x"}}}, "validation_failed", "/texts/en/title"),
    ({"texts": {}}, "validation_failed", "/texts"),
    ({"category": "Not One"}, "validation_failed", "/category"),
    ({"variables": {"type": "nonsense"}}, "template_invalid", "/variables"),
    ({"variables": {"$ref": "http://10.0.0.1/schema"}}, "template_invalid", "/variables"),
    ({"variables": {"$ref": "file:///etc/passwd"}}, "template_invalid", "/variables"),
    ({"variables": {"properties": {"a\0": {}}}}, "validation_failed", "/variables"),
]


async def test_what_is_no_template_is_refused_where_it_is_wrong(notify: Notify) -> None:
    for fields, code, pointer in REFUSED:
        answer = await notify.place.publish("hall.hello", 422, **{"variables": PERSON, "texts": HELLO, **fields})
        assert (answer["code"], [e["pointer"] for e in answer["errors"]]) == (code, [pointer]), fields
    for name in ("Hall", "hall..a", "1", "a.b.c.d.e", "a" * 61, "hall%20a"):
        reply = await notify.place.client.post(
            f"/v1/templates/{name}", json={"category": "general", "variables": PERSON, "texts": HELLO}
        )
        assert reply.status_code == 422, name
    assert (await notify.place.client.get("/v1/templates/hall.hello")).status_code == 404


async def test_every_text_that_is_wrong_is_named_at_once(notify: Notify) -> None:
    texts = {"en": {"title": "{{ a }}", "body": "{{ b() }}"}, "de": {"title": "gut", "body": "{% set x = 1 %}"}}
    answer = await notify.place.publish("hall.hello", 422, variables=PERSON, texts=texts)
    assert {e["pointer"] for e in answer["errors"]} == {"/texts/en/title", "/texts/en/body", "/texts/de/body"}
    assert all(e["code"] == "text_invalid" and e["message"] for e in answer["errors"])


async def test_a_shipped_template_may_be_worded_anew_but_keeps_its_variables(notify: Notify) -> None:
    changed = await notify.place.publish("points.adjusted", 422, variables=PERSON, texts=HELLO)
    assert (changed["code"], changed["errors"][0]["pointer"]) == ("template_invalid", "/variables")
    own = await notify.place.publish("points.adjusted", variables=variables_of("points.adjusted"), texts=WORDS)
    assert own["version"] == 2
    ann = await notify.place.member("Ann")
    await notify.hear(notify.place.adjusted(ann))
    [message] = await notify.place.inbox(ann)
    assert (message["title"], message["template_version"]) == ("for the talk!", 2)
    assert (await notify.place.get("/v1/templates/points.adjusted/versions/1"))["actor"] == "guildhall"


async def test_a_wording_that_fails_with_real_variables_gives_way_to_the_shipped_one_and_the_trace_says_so(
    notify: Notify,
) -> None:
    broken = {"en": {"title": "{{ 100 // (amount - 50) }}", "body": "x"}}
    await notify.place.publish("points.adjusted", variables=variables_of("points.adjusted"), texts=broken)
    ann = await notify.place.member("Ann")
    await notify.hear(notify.place.adjusted(ann, 50), notify.place.adjusted(ann, 51))
    assert [(m["title"], m["template_version"]) for m in await notify.place.inbox(ann)] == [
        ("100", 2),
        ("+50 points", 1),
    ]
    shown = (await notify.place.inbox(ann))[-1]
    steps = (await notify.place.get(f"/v1/messages/{shown['id']}/trace"))["steps"]
    assert (steps[0]["step"], steps[0]["verdict"]) == ("template", "replaced")
    assert steps[0]["detail"].startswith("version 2: ")
    assert await notify.dead() == []


async def test_one_communitys_broken_wording_is_no_other_communitys_trouble(notify: Notify) -> None:
    there = await notify.new_place()
    await notify.place.publish(
        "points.adjusted",
        variables=variables_of("points.adjusted"),
        texts={"en": {"title": "{{ reason[999] }}", "body": "x"}},
    )
    ann, eve = await notify.place.member("Ann"), await there.member("Eve")
    await notify.hear(notify.place.adjusted(ann), there.adjusted(eve))
    assert [m["template_version"] for m in [*await notify.place.inbox(ann), *await there.inbox(eve)]] == [1, 1]
    assert [(await notify.place.inbox(ann))[0]["title"], (await there.inbox(eve))[0]["title"]] == ["+50 points"] * 2


async def test_a_template_of_ones_own_that_fails_with_the_variables_is_an_answer(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.place.publish("hall.hello", variables=PERSON, texts={"en": {"title": "{{ name[99] }}", "body": "x"}})
    body = asked(ann, template="hall.hello", variables={"name": "Ann"})
    reply = await notify.place.client.post("/v1/messages", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "variables_invalid")
    assert reply.json()["errors"][0]["pointer"] == "/variables"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_what_members_are_called_stays_text_in_every_message(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.place.publish("hall.hello", variables=PERSON, texts=HELLO)
    for name in ("{{ 7 * 7 }}", "{% for a in b %}", "<b>x</b>", "[CQ:at,qq=all]", "${7*7}", "*_`"):
        made = await notify.place.send(ann, template="hall.hello", variables={"name": name})
        assert made["title"] == f"Hello {name}"
