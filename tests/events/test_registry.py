"""Event types: what was seen, what was published, and what does not fit is noted and kept (E8, mode observe)."""

from typing import Any

import pytest

from services.events.canonical import CANONICAL
from tests.events.support import Events, Place, event


async def publish(place: Place, schema: dict[str, Any], type: str = "book.finished") -> tuple[int, dict[str, Any]]:
    reply = await place.client.post("/v1/event-types", json={"type": type, "json_schema": schema})
    return reply.status_code, reply.json()


PAGES = {"type": "object", "properties": {"pages": {"type": "integer", "minimum": 1}}, "required": ["pages"]}


async def test_data_that_does_not_fit_a_published_type_is_stored_with_the_rule_it_breaks(events: Events) -> None:
    assert (await publish(events.place, PAGES))[0] == 201
    for id, data in [("ok", {"pages": 3}), ("low", {"pages": 0}), ("text", {"pages": "secret words"}), ("none", {})]:
        await events.place.post(event(id=id, type="book.finished", data=data))
    await events.settle()
    found = {e["id"]: e["problem"] for e in await events.place.timeline()}
    assert found == {
        "ok": None,
        "low": "/pages: does not fit `minimum`",
        "text": "/pages: does not fit `type`",
        "none": ": pages is missing",
    }
    [listed] = [t for t in (await events.place.get("/v1/event-types", limit=200))["items"] if t["type"][:4] == "book"]
    assert (listed["seen"], listed["problems"], listed["has_schema"], listed["canonical"]) == (4, 3, True, False)


async def test_canonical_types_have_schemas_and_cannot_be_published_over(events: Events) -> None:
    await events.place.post(event(id="bad", data={"length": -1}))
    await events.settle()
    assert (await events.place.timeline())[0]["problem"] == "/length: does not fit `minimum`"
    shown = await events.place.get("/v1/event-types/message.created")
    assert (shown["version"], shown["mode"], shown["json_schema"]) == (1, "observe", CANONICAL["message.created"])
    status, problem = await publish(events.place, {}, "message.created")
    assert (status, problem["code"]) == (409, "type_canonical")


async def test_types_are_listed_whether_published_seen_or_canonical_page_by_page(events: Events) -> None:
    await publish(events.place, PAGES)
    await events.place.post(event(type="Zeta.done"), event(type="a:b/c"), event(type="poke"))
    await events.settle()
    cursor, seen = None, []
    while True:
        page = await events.place.get("/v1/event-types", limit=7, cursor=cursor)
        seen += [t["type"] for t in page["items"]]
        assert len(page["items"]) <= 7
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert set(seen) == {*CANONICAL, "book.finished", "Zeta.done", "a:b/c"}
    unknown = await events.place.client.get("/v1/event-types/Zeta.done")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "type_unknown")


async def test_a_type_belongs_to_the_community_that_published_it(events: Events) -> None:
    other = await events.new_place()
    await publish(events.place, PAGES)
    assert (await other.client.get("/v1/event-types/book.finished")).status_code == 404
    await other.post(event(type="book.finished", data={"pages": "x"}))
    await events.settle()
    assert [e["problem"] for e in await other.timeline()] == [None]
    assert (await publish(other, {}))[1]["version"] == 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"required": ["pages", "title"]}, "/json_schema/required"),
        ({"properties": {"pages": {"type": "string"}}}, "/json_schema/properties/pages/type"),
        ({"properties": {"pages": {"type": "integer", "minimum": 5}}}, "/json_schema/properties/pages/minimum"),
        ({"properties": {"pages": False}}, "/json_schema/properties/pages"),
        ({"properties": {"pages": {"type": "integer", "enum": [1]}}}, "/json_schema/properties/pages/enum"),
        ({"additionalProperties": False}, "/json_schema/additionalProperties"),
        ({"anyOf": [{"required": ["x"]}]}, "/json_schema/anyOf"),
    ],
)
async def test_a_version_that_takes_less_than_the_last_is_refused_where_it_does(
    events: Events, change: dict[str, Any], where: str
) -> None:
    await publish(events.place, PAGES)
    status, problem = await publish(events.place, {**PAGES, **change})
    assert (status, problem["code"]) == (409, "schema_incompatible")
    assert [e["pointer"] for e in problem["errors"]] == [where]


async def test_a_version_that_takes_more_counts_up_and_holds_from_then_on(events: Events) -> None:
    await publish(events.place, PAGES)
    wider = {"properties": {"pages": {"type": ["number", "null"]}, "title": {"type": "string"}}}
    assert (await publish(events.place, wider))[1]["version"] == 2
    await events.place.post(event(type="book.finished", data={"pages": None}))
    await events.settle()
    assert [e["problem"] for e in await events.place.timeline()] == [None]
    assert (await events.place.get("/v1/event-types/book.finished"))["json_schema"] == wider


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "banana"}, '"banana" is not valid'),
        ({"properties": 3}, "3 is not of type"),
        ({"pattern": "("}, "regex"),
        ({"pattern": "(?=a)"}, "regex"),
        ({"$ref": "http://127.0.0.1:9/x.json"}, "must stay inside"),
        ({"$ref": "file:///etc/hostname"}, "must stay inside"),
        ({"$schema": "http://127.0.0.1:9/meta"}, "meta-schema"),
        ({"enum": [[] for _ in range(3000)]}, "more than 2000"),
    ],
)
async def test_what_is_no_schema_or_reaches_elsewhere_is_refused_with_the_reason(
    events: Events, schema: dict[str, Any], says: str
) -> None:
    status, problem = await publish(events.place, schema)
    assert (status, problem["code"]) == (422, "schema_invalid")
    [error] = problem["errors"]
    assert error["pointer"].startswith("/json_schema")
    assert says in error["message"]


async def test_a_schema_that_refers_to_itself_is_followed_as_deep_as_the_data_goes(events: Events) -> None:
    tree = {"$defs": {"node": {"properties": {"child": {"$ref": "#/$defs/node"}, "name": {"type": "string"}}}}}
    assert (await publish(events.place, {**tree, "$ref": "#/$defs/node"}, "tree"))[0] == 201
    assert (await publish(events.place, {"$ref": "#"}, "loop"))[0] == 201
    await events.place.post(
        event(id="tree", type="tree", data={"child": {"child": {"name": 7}}}), event(id="loop", type="loop")
    )
    await events.settle()
    found = {e["id"]: e["problem"] for e in await events.place.timeline()}
    assert found == {"tree": "/child/child/name: does not fit `type`", "loop": None}


async def test_publishing_twice_under_one_idempotency_key_makes_one_version(events: Events) -> None:
    body = {"type": "book.finished", "json_schema": PAGES}
    first, again = [
        await events.place.client.post("/v1/event-types", json=body, headers={"Idempotency-Key": "k1"}) for _ in "ab"
    ]
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
