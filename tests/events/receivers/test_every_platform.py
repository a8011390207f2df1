"""What holds for every platform: who sent it is checked, everything sent is understood or named, nothing raises."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.receivers import receivers
from services.events.receivers.door import event_of
from services.events.receivers.form import Delivery, Malformed, Receiver, Refused, Seen, Translation
from services.events.wire import Accepted, Arrival, check
from tests.events.receivers.senders import senders
from tests.events.receivers.sending import AT, Sample, Sender

PLATFORMS = sorted(receivers())
DOCS = Path(__file__).parents[3] / "docs" / "receivers"
COMMUNITY, CONNECTION = UUID(int=7), UUID(int=8)
every = pytest.mark.parametrize("platform", PLATFORMS)


def both(platform: str) -> tuple[Receiver[Any, Any], Sender]:
    return receivers()[platform], senders()[platform]


def first(sender: Sender) -> Sample:
    return next(sender.samples())


def all_samples() -> Iterator[Any]:
    for platform in PLATFORMS:
        for sample in senders()[platform].samples():
            yield pytest.param(platform, sample, id=f"{platform}-{sample.name}")


def understood(platform: str, sample: Sample) -> Translation:
    receiver, sender = both(platform)
    delivery = receiver.verify(sender.deliver(sample, sender.secrets[0], AT), sender.secrets[:1], sender.settings)
    return receiver.translate(delivery, sender.settings)


def goes_in(translation: Translation) -> None:
    """The door takes everything that was made of it."""
    for seen in translation.seen:
        result = check(event_of(seen, "somewhere", CONNECTION), Arrival(COMMUNITY, AT, None, "test", 65536))
        assert isinstance(result, Accepted), (seen, result)


def test_each_has_a_page_and_a_sender() -> None:
    assert sorted(senders()) == PLATFORMS
    assert [name for name in PLATFORMS if not (DOCS / f"{name}.md").exists()] == []


@every
def test_what_is_signed_with_either_of_two_secrets_is_let_in(platform: str) -> None:
    receiver, sender = both(platform)
    for secret in sender.secrets:
        receiver.verify(sender.deliver(first(sender), secret, AT), sender.secrets, sender.settings)


@every
def test_what_is_signed_with_another_secret_or_not_at_all_is_refused(platform: str) -> None:
    receiver, sender = both(platform)
    delivery = sender.deliver(first(sender), sender.secrets[1], AT)
    for wrong in (delivery, replace(delivery, headers={}, query={})):
        with pytest.raises((Refused, Malformed)):
            receiver.verify(wrong, sender.secrets[:1], sender.settings)


@every
def test_an_altered_body_and_an_old_request_are_refused_where_the_platform_signs_them(platform: str) -> None:
    receiver, sender = both(platform)
    delivery = sender.deliver(first(sender), sender.secrets[0], AT)
    if sender.signs_body:
        with pytest.raises((Refused, Malformed)):
            receiver.verify(replace(delivery, body=delivery.body + b" "), sender.secrets[:1], sender.settings)
    if sender.signs_time:
        for moved in (timedelta(hours=1), timedelta(hours=-1)):
            with pytest.raises(Refused):
                receiver.verify(replace(delivery, at=AT + moved), sender.secrets[:1], sender.settings)


@pytest.mark.parametrize(("platform", "sample"), list(all_samples()))
def test_every_payload_becomes_activities_or_is_ignored_for_a_reason(platform: str, sample: Sample) -> None:
    translation = understood(platform, sample)
    assert translation.seen or translation.ignored or translation.beat
    goes_in(translation)
    assert understood(platform, sample) == translation, "delivered again it is the same"


@every
def test_what_a_person_does_on_the_platform_is_written_out_with_the_address(platform: str) -> None:
    receiver, sender = both(platform)
    made = receiver.setup("https://example.org/v1/hooks/1", sender.secrets[0], sender.settings)
    # A bot that comes to us with a WebSocket has the same address in that scheme.
    assert any(f"{scheme}://example.org/v1/hooks/1" in made.snippet for scheme in ("https", "wss"))
    assert made.steps


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inside in found:
        yield (*path, name)
        yield from places(inside, (*path, name))


def put(value: Any, path: tuple[Any, ...], new: Any, remove: bool) -> None:
    for name in path[:-1]:
        value = value[name]
    if remove:
        del value[path[-1]]
    else:
        value[path[-1]] = new


@every
@settings(max_examples=150)
@given(data=st.data())
def test_whatever_a_payload_becomes_nothing_raises_and_nothing_goes_in_half(platform: str, data: st.DataObject) -> None:
    receiver, sender = both(platform)
    sample = data.draw(st.sampled_from(list(sender.samples())))
    try:
        value = json.loads(sample.body)
    except ValueError:
        cut = data.draw(st.integers(0, len(sample.body)))
        body = (
            sample.body[:cut] + data.draw(st.binary(max_size=20)) + sample.body[cut + data.draw(st.integers(0, 40)) :]
        )
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            where = list(places(value))
            if where:
                put(value, data.draw(st.sampled_from(where)), data.draw(anything), data.draw(st.booleans()))
        body = json.dumps(value).encode()
    delivery = sender.deliver(replace(sample, body=body), sender.secrets[0], AT)
    try:
        translation = receiver.translate(
            receiver.verify(delivery, sender.secrets[:1], sender.settings), sender.settings
        )
    except Malformed:
        return
    for seen in translation.seen:
        check(event_of(seen, "somewhere", CONNECTION), Arrival(COMMUNITY, AT, None, "test", 65536))


@every
@given(body=st.binary(max_size=300))
def test_what_is_no_payload_at_all_is_said_to_be_malformed(platform: str, body: bytes) -> None:
    receiver, sender = both(platform)
    delivery = sender.deliver(Sample("noise", body), sender.secrets[0], AT)
    try:
        receiver.translate(receiver.verify(delivery, sender.secrets[:1], sender.settings), sender.settings)
    except Malformed:
        return
    except Refused:
        return
    assert isinstance(delivery, Delivery)


def test_an_event_names_its_connection_only_where_it_is_that_connections_own() -> None:
    seen = next(s for s in understood("github", first(senders()["github"])).seen)
    own, shared = (msgspec.json.decode(event_of(replace(seen, shared=s), "github", CONNECTION)) for s in (False, True))
    assert own["source"] == f"/connections/{CONNECTION}"
    assert shared["source"] == "/platforms/github"


def test_a_character_that_no_database_takes_is_left_out_wherever_it_is_and_nothing_else_is() -> None:
    seen = Seen(
        type="poll.voted", id="a\0b", actor="shop:c\0d", subject="e\0", text="f\0g", data={"x\0": ["\0", {"y": "h\0i"}]}
    )
    event = msgspec.json.decode(event_of(seen, "somewhere", CONNECTION))
    assert (event["id"], event["subject"]) == ("ab", "e")
    assert event["data"] == {"actor": "shop:cd", "text": "fg", "length": 3, "x": ["", {"y": "hi"}]}
