"""Texts that a community keeps (E9): only where it wants to, only sealed, only as long as the key is there."""

import base64
import json
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from kit.contracts import ACTIVITY_TOPIC, identity_member_id
from kit.contracts.events import Activity
from kit.contracts.members import IdentityLinked, MemberChanged
from services.events import retention
from services.events.handlers import texts
from services.events.handlers.texts import keyring_of
from services.events.texts.sealing import TextKey, Unreadable, unpacked
from tests.events.support import Events, Place, event, on_the_log

WORDS = "the password of the club room is swordfish"


async def owner_of(events: Events) -> Place:
    scopes = ("events:read", "events:write", "events:import", "events:text", "communities:write", "members:write")
    return await events.new_key(events.place.id, *scopes)


async def wish(events: Events, owner: Place, **days: int) -> dict[str, Any]:
    reply = await owner.client.put("/v1/events/settings", json=days)
    assert reply.status_code == 200, reply.text
    events.clock.advance(timedelta(seconds=3))  # what the door knew is old then
    shown: dict[str, Any] = reply.json()
    return shown


async def said(events: Events, place: Place, **fields: Any) -> str:
    """The id of a message that was posted and stored."""
    sent = event(**{"data": {"text": WORDS, **fields.pop("data", {})}, **fields})
    assert (await place.post(sent))["accepted"] == 1
    await events.settle()
    found = await place.get("/v1/events/by-key", source=sent["source"], id=sent["id"])
    return str(found["event_id"])


async def sealed_on_log(events: Events) -> list[str]:
    found = await on_the_log(events.log, ACTIVITY_TOPIC)
    return [e.sealed_text for e in found if isinstance(e, Activity) and e.sealed_text is not None]


async def test_nothing_is_kept_unless_somebody_asks_for_it(events: Events) -> None:
    owner = await owner_of(events)
    id = await said(events, owner)
    reply = await owner.client.get(f"/v1/events/{id}/text")
    assert (reply.status_code, reply.json()["code"]) == (404, "text_unknown")
    assert await sealed_on_log(events) == []
    assert await events.rows("text_keys") == []


async def test_a_kept_text_is_read_with_a_scope_of_its_own_and_the_reading_is_written_down(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=30)
    id = await said(events, owner)
    shown = await owner.get(f"/v1/events/{id}/text")
    stored = await owner.get(f"/v1/events/{id}")
    assert shown["text"] == WORDS
    assert shown["until"][:10] == (events.clock() + timedelta(days=30)).date().isoformat()
    assert WORDS not in str(stored)
    reply = await events.place.client.get(f"/v1/events/{id}/text")
    assert (reply.status_code, reply.json()["scope"]) == (403, "events:text")
    [reading] = (await owner.get("/v1/events/text-readings"))["items"]
    assert (reading["event_id"], reading["by"]) == (id, f"key:{owner.key.key_id}")
    assert WORDS not in str(reading)
    other = await events.new_place("events:text", "events:read")
    assert (await other.client.get(f"/v1/events/{id}/text")).status_code == 404
    assert (await other.get("/v1/events/text-readings"))["items"] == []


async def test_words_are_nowhere_in_the_clear(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=1)
    await said(events, owner)
    subscription = await events.log.subscribe("test:bytes", [ACTIVITY_TOPIC])
    raw = b"".join([r.value or b"" for r in await subscription.fetch(1000, 0.05)])
    await subscription.close()
    tables = [str([tuple(row) for row in await events.rows(name)]) for name in ("texts", "activities", "text_keys")]
    assert b"sealedtext" in raw
    assert b"swordfish" not in raw
    assert "swordfish" not in "".join(tables)


async def test_when_the_key_is_destroyed_no_copy_can_be_read_any_more(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=30)
    id = await said(events, owner)
    [copy], [key_row], [row] = await sealed_on_log(events), await events.rows("text_keys"), await events.rows("texts")
    one = events.runtime.services["events"]
    assert keyring_of(one).opened(key_row).open(unpacked(copy), UUID(id)) == WORDS
    member = identity_member_id(owner.id, "qq:1")
    for expected in ({"keys": 1, "texts": 1}, {"keys": 0, "texts": 0}):
        assert (await owner.client.delete(f"/v1/events/members/{member}/text")).json() == expected
    assert (await owner.client.get(f"/v1/events/{id}/text")).status_code == 404
    # Who brings the row back from a copy has no key for it, and the member's next one does not open it.
    async with events.db.begin() as tx:
        await texts.keeping.add_texts(tx, rows=[dict(row._mapping)])
    assert (await owner.client.get(f"/v1/events/{id}/text")).status_code == 404
    await said(events, owner)
    [following] = await events.rows("text_keys")
    assert following.key_id != key_row.key_id
    with pytest.raises(Unreadable):
        keyring_of(one).opened(following).open(unpacked(copy), UUID(id))
    assert (await owner.client.get(f"/v1/events/{id}/text")).status_code == 404


async def test_what_another_process_seals_with_a_destroyed_key_is_not_stored(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=30)
    await said(events, owner)
    async with events.db.begin() as tx:
        # As another replica does it: this one's keyring does not hear of it.
        await texts.keeping.destroy(tx, community_id=owner.id, actor_ids=[identity_member_id(owner.id, "qq:1")])
    id = await said(events, owner)
    assert (await owner.client.get(f"/v1/events/{id}/text")).status_code == 404
    assert await events.rows("texts") == []
    events.clock.advance(timedelta(minutes=2))
    assert (await owner.get(f"/v1/events/{await said(events, owner)}/text"))["text"] == WORDS


async def test_an_erased_member_s_keys_go_under_every_identity(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=30)
    member = identity_member_id(owner.id, "qq:1")
    await events.hear(IdentityLinked(community_id=owner.id, identity="tg:7", member_id=member, version=1))
    await said(events, owner)
    await said(events, owner, data={"actor": "tg:7"})
    await said(events, owner, data={"actor": "qq:2"})
    assert len(await events.rows("text_keys")) == 3
    erased = MemberChanged(
        community_id=owner.id, member_id=member, version=1, display_name="", state="erased", kind="person",
        locale=None, zone=None, identities=(), changed_at=events.clock(),
    )  # fmt: skip
    await events.hear(erased)
    left = identity_member_id(owner.id, "qq:2")
    assert [row.actor_id for row in await events.rows("text_keys")] == [left]
    assert [row.actor_id for row in await events.rows("texts")] == [left]


async def test_who_opts_out_keeps_nothing_more_and_what_was_kept_goes(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=30)
    id = await said(events, owner)
    # What the door sealed before it heard of it is not stored either.
    one = events.runtime.services["events"]
    reply = await owner.client.put("/v1/events/settings", json={"keep_text_days": 0})
    assert reply.status_code == 200
    await said(events, owner)
    assert (await owner.client.get(f"/v1/events/{id}/text")).status_code == 404
    assert len(await events.rows("texts")) == 1
    await retention.purge(one, one.stopping)
    assert (await events.rows("texts"), await events.rows("text_keys")) == ([], [])


async def test_texts_go_when_their_days_are_over(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=2)
    old = await said(events, owner)
    events.clock.advance(timedelta(days=1))
    new = await said(events, owner)
    events.clock.advance(timedelta(days=1, hours=1))
    assert (await owner.client.get(f"/v1/events/{old}/text")).status_code == 404
    one = events.runtime.services["events"]
    await retention.purge(one, one.stopping)
    assert [str(row.event_id) for row in await events.rows("texts")] == [new]


async def test_history_and_what_nobody_wrote_is_taken_without_its_text(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=2)
    await owner.post(event(data={"text": WORDS}), headers={"Guildhall-Import": "old"})
    await owner.post(event(data={"text": WORDS, "actor": None}))
    await events.settle()
    assert len(await owner.timeline()) == 2
    assert await sealed_on_log(events) == []


async def test_a_database_that_gives_no_key_in_time_costs_the_text_and_not_the_event(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=2)
    async with events.db.begin() as tx:
        # On SQLite holding the writer is enough.
        if tx.dialect == "postgresql":
            await tx.execute(text("LOCK TABLE text_keys IN ACCESS EXCLUSIVE MODE"))
        began = monotonic()
        for _ in range(5):
            assert (await owner.post(event(data={"text": WORDS, "actor": "qq:5"})))["accepted"] == 1
        # Only the first one waits for it.
        assert monotonic() - began < 3 * texts.LOOKUP_SECONDS
    await events.settle()
    assert await sealed_on_log(events) == []
    events.clock.advance(timedelta(seconds=3))
    id = await said(events, owner, data={"actor": "qq:5"})
    assert (await owner.get(f"/v1/events/{id}/text"))["text"] == WORDS


async def test_binary_and_packed_data_are_kept_alike(events: Events) -> None:
    owner = await owner_of(events)
    await wish(events, owner, keep_text_days=2)
    packed = base64.b64encode(json.dumps({"actor": "qq:1", "text": WORDS}).encode()).decode()
    sent = event(id="packed", data_base64=packed)
    del sent["data"]
    await owner.post(sent)
    await events.settle()
    found = await owner.get("/v1/events/by-key", source="/bots/one", id="packed")
    assert (await owner.get(f"/v1/events/{found['event_id']}/text"))["text"] == WORDS


async def test_wishes_are_shown_bounded_and_the_owner_s(events: Events) -> None:
    owner = await owner_of(events)
    before = await owner.get("/v1/events/settings")
    assert before == {
        "keep_text_days": 0, "activity_days": None, "activity_days_in_force": 400, "raw_days": 7,
        "changed_at": None, "changed_by": None,
    }  # fmt: skip
    after = await wish(events, owner, keep_text_days=7, activity_days=0)
    assert (after["activity_days_in_force"], after["changed_by"]) == (0, f"key:{owner.key.key_id}")
    for wrong in ({"keep_text_days": 366}, {"keep_text_days": -1}, {"activity_days": 29}, {"own": 1}):
        assert (await owner.client.put("/v1/events/settings", json=wrong)).status_code == 422
    assert (await events.place.client.put("/v1/events/settings", json={})).status_code == 403


def test_a_key_opens_only_what_it_sealed_for_that_event() -> None:
    key, other = TextKey(UUID(int=1), b"a" * 32), TextKey(UUID(int=1), b"b" * 32)
    sealed = key.seal("hi \ud800", UUID(int=7))
    assert key.open(sealed, UUID(int=7)) == "hi ?"
    for who, event_id in ((other, UUID(int=7)), (key, UUID(int=8))):
        with pytest.raises(Unreadable):
            who.open(sealed, event_id)
    with pytest.raises(Unreadable):
        key.open(b"", UUID(int=7))
