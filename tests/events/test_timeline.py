"""The timeline: filters, pages in both directions, links followed, and never a row of another community."""

from typing import Any
from uuid import uuid4

from kit.contracts import activity_event_id, identity_member_id
from kit.contracts.members import IdentityLinked
from tests.events.support import Events, Place, at, event


async def fill(events: Events) -> None:
    for n in range(24):
        await events.place.post(
            event(
                id=f"{n:02}",
                type=("message.created", "poke")[n % 2],
                time=at(events.clock, minutes=-(n // 3)),
                data={"actor": f"qq:{n % 3}", "group": f"qq:{n % 4}"},
            )
        )
    await events.settle()


async def walk(place: Place, limit: int, **chosen: Any) -> list[str]:
    seen, cursor, pages = [], None, []
    while True:
        page = await place.get("/v1/events", limit=limit, cursor=cursor, **chosen)
        pages.append(page)
        seen += [e["id"] for e in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    back = pages[-1]["prev"]
    for earlier in reversed(pages[:-1]):
        page = await place.get("/v1/events", limit=limit, cursor=back, **chosen)
        assert page["items"] == earlier["items"]
        back = page["prev"]
    assert back is None
    return seen


async def test_pages_go_through_everything_once_newest_first_and_back_again(events: Events) -> None:
    await fill(events)
    everything = [e["id"] for e in await events.place.timeline(limit=200)]
    assert sorted(everything) == [f"{n:02}" for n in range(24)]
    times = [e["effective_at"] for e in await events.place.timeline(limit=200)]
    assert times == sorted(times, reverse=True)
    for limit in (1, 5, 23, 24):
        assert await walk(events.place, limit) == everything


async def test_a_page_is_stable_while_newer_activities_come_in(events: Events) -> None:
    await fill(events)
    everything = [e["id"] for e in await events.place.timeline(limit=200)]
    first = await events.place.get("/v1/events", limit=10)
    await events.place.post(event(id="new"))
    await events.settle()
    second = await events.place.get("/v1/events", limit=14, cursor=first["next"])
    assert [e["id"] for e in first["items"] + second["items"]] == everything
    newer = await events.place.get("/v1/events", limit=10, cursor=first["prev"]) if first["prev"] else None
    assert newer is None


async def test_filters_narrow_alone_and_together(events: Events) -> None:
    await fill(events)
    member = identity_member_id(events.place.id, "qq:1")

    def ids(found: list[dict[str, Any]]) -> set[int]:
        return {int(e["id"]) for e in found}

    everyone = range(24)
    timeline = events.place.timeline
    assert ids(await timeline(member=member)) == {n for n in everyone if n % 3 == 1}
    assert ids(await timeline(type="poke")) == {n for n in everyone if n % 2}
    assert ids(await timeline(group="qq:2")) == {n for n in everyone if n % 4 == 2}
    since, until = at(events.clock, minutes=-5), at(events.clock, minutes=-2)
    assert ids(await timeline(**{"from": since, "to": until})) == {n for n in everyone if 2 < n // 3 <= 5}
    both = {"member": member, "type": "poke", "from": since}
    assert ids(await timeline(**both)) == {n for n in everyone if n % 3 == 1 and n % 2 and n // 3 <= 5}
    assert await walk(events.place, 2, type="poke", member=member) == [
        e["id"] for e in await timeline(type="poke", member=member)
    ]
    assert await timeline(type="no.such") == []
    assert await timeline(member=uuid4()) == []


async def test_a_linked_identity_is_its_members_also_for_what_was_stored_before(events: Events) -> None:
    await events.place.post(event(id="before", data={"actor": "qq:1"}), event(id="other", data={"actor": "qq:9"}))
    await events.settle()
    ada, computed = uuid4(), identity_member_id(events.place.id, "qq:1")
    await events.hear(IdentityLinked(community_id=events.place.id, identity="qq:1", member_id=ada, version=1))
    await events.place.post(
        event(id="after", data={"actor": "qq:1"}), event(id="as member", data={"actor": f"member:{ada}"})
    )
    await events.settle()
    for asked in (ada, computed):
        found = await events.place.timeline(member=asked)
        assert {e["id"] for e in found} == {"before", "after", "as member"}
        assert {e["actor_id"] for e in found} == {str(ada)}
    bob = uuid4()
    await events.hear(IdentityLinked(community_id=events.place.id, identity="qq:1", member_id=bob, version=2))
    assert {e["id"] for e in await events.place.timeline(member=bob)} == {"before", "after"}
    assert {e["id"] for e in await events.place.timeline(member=ada)} == {"as member"}


async def test_another_community_sees_nothing_of_it_by_any_route(events: Events) -> None:
    await events.place.post(event(id="s", data={"actor": "qq:1"}), event(id="t", type="their.own"))
    await events.settle()
    other = await events.new_place()
    id = activity_event_id(events.place.id, "/bots/one", "s")
    assert await other.timeline() == []
    assert await other.timeline(member=identity_member_id(events.place.id, "qq:1")) == []
    cursor = (await events.place.get("/v1/events", limit=1))["next"]
    assert await other.timeline(cursor=cursor) == []
    for path, code in [
        (f"/v1/events/{id}", "event_unknown"),
        (f"/v1/events/{id}/trace", "event_unknown"),
        ("/v1/events/by-key?source=/bots/one&id=s", "event_unknown"),
        ("/v1/event-types/their.own", "type_unknown"),
    ]:
        reply = await other.client.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, code)
    assert [t["type"] for t in (await other.get("/v1/event-types", limit=200))["items"] if t["seen"]] == []
    named = await other.client.get("/v1/events", headers={"Guildhall-Community": str(events.place.id)})
    assert (named.status_code, named.json()["code"]) == (404, "community_unknown")


async def test_a_key_of_several_communities_names_the_one_it_means(events: Events) -> None:
    other = await events.new_place()
    both = await events.new_key(events.place.id, communities=(events.place.id, other.id))
    await other.post(event(id="there"))
    await events.settle()
    unnamed = await both.client.get("/v1/events")
    assert (unnamed.status_code, unnamed.json()["code"]) == (400, "community_required")
    reply = await both.client.get("/v1/events", headers={"Guildhall-Community": str(other.id)})
    assert [e["id"] for e in reply.json()["items"]] == ["there"]


BAD_CURSORS = [
    "x",
    "W10",
    "WzFd",
    "WyJuZXh0IiwiMjAyMC0wMS0wMSIsIjAxOTM5ZTJjLTcwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSJd",
    "WyJuZXh0IiwiOTk5OS0xMi0zMVQyMzo1OTo1OS0yMzo1OSIsIjAxOTM5ZTJjLTcwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSJd",
    "eyJhIjoxfQ",
    "WyJhXHUwMDAwYiJd",
    "ÿ",
    "a" * 1999,
]


async def test_a_cursor_of_no_list_or_another_is_refused(events: Events) -> None:
    for path in ("/v1/events", "/v1/event-types", "/v1/imports"):
        for cursor in BAD_CURSORS:
            reply = await events.place.client.get(path, params={"cursor": cursor})
            assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid"), (path, cursor)


BAD_QUERIES = [
    "from=2020-01-01", "from=yesterday", "to=2020-01-01T00:00:00", "member=7", "limit=0", "limit=201", "limit=-1",
    "limit=1e3", "limit=99999999999999999999", "type=" + "x" * 201, "type=a%00b", "group=qq:%00",
    "from=9999-12-31T23:59:59-23:59", "from=0001-01-01T00:00:00%2B23:59",
]  # fmt: skip


async def test_a_query_that_does_not_fit_is_refused_and_never_an_accident(events: Events) -> None:
    for query in BAD_QUERIES:
        reply = await events.place.client.get(f"/v1/events?{query}")
        assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed"), (query, reply.text)
        assert reply.json()["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"


async def test_a_name_with_a_nul_is_refused(events: Events) -> None:
    for path in ("/v1/imports/a%00b", "/v1/event-types/a%00b"):
        reply = await events.place.client.get(path)
        assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed"), reply.text
