"""What is known here of a connection, and something harmless sent through it."""

from datetime import timedelta
from uuid import UUID, uuid4

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.auth import AUDIENCE
from kit.contracts.members import SigningKeyChanged
from kit.settings import load_settings
from services.events import loops
from services.events.hearing import hearing_of
from services.events.receivers import receivers
from services.events.receivers.form import Beat
from tests.events.bots import checked, connected, delivered, levels, message
from tests.events.receivers.senders import senders
from tests.events.support import Events, Place


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("connections:write", "events:read", "events:write")


async def test_every_platform_answers_with_what_is_known_here(events: Events, place: Place) -> None:
    for platform, sender in senders().items():
        secrets, chosen = msgspec.to_builtins(sender.secrets[0]), msgspec.to_builtins(sender.settings)
        made = await connected(place, platform, secrets=secrets, settings=chosen)
        found = levels(await checked(place, made))
        asked = {} if receivers()[platform].check is None else {"not_asked": "warning"}
        assert found == {"never_seen": "warning", **asked}, platform
    made = await connected(place, "github")
    changed = await place.client.patch(f"/v1/connections/{made['id']}", json={"active": False})
    assert changed.status_code == 200
    assert levels(await checked(place, made)) == {"connection_inactive": "error"}
    assert levels(await checked(place, made, {})) == {"connection_inactive": "error"}


async def test_todays_refused_and_unreadable_deliveries_are_told_with_why_the_last_one_was(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    for secret in ("another", "another", ""):
        assert await delivered(place, made, message(1), secret=secret) == 401
    assert await delivered(place, made, b"[]") == 400
    await loops.write_down(events.runtime.services["events"])
    await events.settle()
    found = await checked(place, made)
    assert "3 deliveries" in found["deliveries_refused"]["message"]
    assert "(token_missing)" in found["deliveries_refused"]["message"]
    assert "(payload_malformed)" in found["deliveries_malformed"]["message"]
    events.clock.advance(timedelta(days=1))
    assert set(await checked(place, made)) == {"not_asked", "seen"}


async def test_who_is_silent_and_secrets_that_end_are_told(events: Events, place: Place) -> None:
    made = await connected(place, "github")
    one = events.runtime.services["events"]
    reply = await place.client.post(f"/v1/connections/{made['id']}/rotate", json={"overlap_seconds": 3600})
    assert reply.status_code == 200
    assert levels(await checked(place, made)) == {"never_seen": "warning", "secrets_ending": "warning"}
    beat = Beat(True, timedelta(seconds=15))
    hearing_of(one).note(UUID(made["id"]), place.id, events.clock(), "ignored", 1, beat)
    await loops.write_down(one)
    events.clock.advance(timedelta(hours=2))
    await loops.look_out(one)
    assert levels(await checked(place, made)) == {"connection_down": "error"}
    one.settings = load_settings({}, data_dir=one.settings.data_dir, secret_key="t" * 40)
    assert levels(await checked(place, made))["secrets_unreadable"] == "error"


async def test_a_try_is_on_the_timeline_where_location_says_and_is_no_sign_of_life(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    reply = await place.client.post(f"/v1/connections/{made['id']}/test")
    assert reply.status_code == 202, reply.text
    told = reply.json()
    await events.settle()
    await loops.write_down(events.runtime.services["events"])
    [stored] = await place.timeline()
    assert (stored["event_id"], stored["type"]) == (told["event_id"], "connection.test")
    assert (stored["source"], stored["connection_id"]) == (told["source"], made["id"])
    assert told["source"] == f"/connections/{made['id']}"
    assert (stored["actor"], stored["data"], stored["problem"]) == (None, {}, None)
    trace = await place.get(reply.headers["location"])
    assert (trace["stored"]["event_id"], trace["decisions"], trace["steps"]) == (told["event_id"], [], [])
    shown = await place.get(f"/v1/connections/{made['id']}")
    assert (shown["seen_at"], shown["today"]) == (None, {})
    assert "never_seen" in await checked(place, made)
    types = {one["type"]: one for one in (await place.get("/v1/event-types", limit=200))["items"]}
    assert (types["connection.test"]["canonical"], types["connection.test"]["problems"]) == (True, 0)
    assert await events.observed() == []


async def test_a_try_repeated_with_its_key_is_one_activity_and_without_two(events: Events, place: Place) -> None:
    made = await connected(place)
    path = f"/v1/connections/{made['id']}/test"
    keyed = [await place.client.post(path, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    other = await place.client.post(path)
    assert keyed[0].json() == keyed[1].json()
    assert other.json()["event_id"] != keyed[0].json()["event_id"]
    await events.settle()
    assert len(await place.timeline()) == 2


async def test_a_try_of_a_type_that_is_enforced_goes_through_and_of_a_connection_that_is_off_does_not(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    path = f"/v1/connections/{made['id']}/test"
    mode = await place.client.put("/v1/event-types/connection.test/mode", json={"mode": "enforce"})
    assert mode.status_code == 200
    events.clock.advance(timedelta(seconds=3))
    assert (await place.client.post(path)).status_code == 202
    await place.client.patch(f"/v1/connections/{made['id']}", json={"active": False})
    reply = await place.client.post(path)
    assert (reply.status_code, reply.json()["code"]) == (409, "connection_inactive")


async def test_another_communitys_connection_is_not_there_and_neither_is_for_members_or_readers(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    stranger = await events.new_place("connections:write", name="Others")
    reader = await events.new_key(place.id, "events:read", "events:write")
    member = events.client(await a_members_token(events, place))
    for path in (f"/v1/connections/{made['id']}/check", f"/v1/connections/{made['id']}/test"):
        reply = await stranger.client.post(path, json={})
        assert (reply.status_code, reply.json()["code"]) == (404, "connection_unknown")
        for client in (reader.client, member):
            reply = await client.post(path, json={})
            assert (reply.status_code, reply.json()["code"]) == (403, "scope_missing")


async def a_members_token(events: Events, place: Place) -> str:
    signing = Ed25519PrivateKey.generate()
    x = jwt.algorithms.OKPAlgorithm.to_jwk(signing.public_key(), as_dict=True)["x"]
    await events.hear(SigningKeyChanged(kid="k1", version=1, x=x, created_at=events.clock(), retired_at=None))
    now = int(events.clock().timestamp())
    claims = {"sub": str(uuid4()), "community": str(place.id), "aud": AUDIENCE, "jti": str(uuid4())}
    return jwt.encode({**claims, "iat": now, "exp": now + 3600}, signing, algorithm="EdDSA", headers={"kid": "k1"})
