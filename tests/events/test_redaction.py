"""What is kept of something refused: what tells things apart, and never what somebody wrote."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.events import redaction
from services.events.receivers import receivers
from services.events.receivers.form import Delivery
from services.events.redaction import MAX_KEPT, filled, of_bytes, of_event, of_payload
from tests.events.receivers.senders import senders
from tests.events.receivers.sending import AT

# What a person writes has a space or a letter beyond ASCII in it; a name without either may be an identifier.
prose = st.text(min_size=4, max_size=40).filter(
    lambda text: text.strip() and "characters)" not in text and not all("!" <= c <= "~" for c in text)
)
names = st.sampled_from(["id", "user_id", "type", "text", "content", "name", "time", "data", "body", "title", "x"])
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from(["qq:1", "message.created", "a b"])


def trees(marker: str) -> st.SearchStrategy[Any]:
    """JSON with the marker at least at one place, as a value, a name, or within other text."""
    planted = st.sampled_from([marker, f"before {marker} after", [marker], {marker: 1}, {"id": marker}])
    others = st.recursive(
        leaves | planted, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    )
    return st.dictionaries(names, others, max_size=4).flatmap(
        lambda tree: st.tuples(names, planted).map(lambda pair: {**tree, pair[0]: pair[1]})
    )


def hidden(marker: str, kept: redaction.Kept) -> bool:
    shown = msgspec.json.encode(kept).decode()
    return marker not in shown and json.dumps(marker)[1:-1] not in shown


@given(prose.flatmap(lambda marker: st.tuples(st.just(marker), trees(marker))))
def test_nothing_written_is_kept_of_a_payload_wherever_it_stands(both: tuple[str, Any]) -> None:
    marker, tree = both
    assert hidden(marker, of_payload(json.dumps(tree).encode(), {}))


@given(prose.flatmap(lambda marker: st.tuples(st.just(marker), trees(marker))), st.booleans())
def test_nothing_written_is_kept_of_an_event_wherever_it_stands(both: tuple[str, Any], whole: bool) -> None:
    marker, tree = both
    event = {"specversion": "1.0", "id": "1", "source": "/b", "type": "t", "data": tree} if whole else tree
    assert hidden(marker, of_event(json.dumps(event).encode()))


@given(st.text(min_size=5, max_size=40), st.sampled_from(["text", "content", "comment", "nickname", "title"]))
def test_a_single_word_is_not_kept_either_where_people_write(word: str, name: str) -> None:
    marker = f"⟦{word}⟧"
    assert hidden(marker, of_payload(json.dumps({"message": [{"data": {name: marker}}]}).encode(), {}))
    assert hidden("geheim", of_event(json.dumps({"type": "t", "data": {name: "geheim"}}).encode()))


@given(st.binary(max_size=200))
def test_of_what_cannot_be_read_only_size_and_hash_are_kept(body: bytes) -> None:
    kept = of_bytes(body)
    assert (kept.form, kept.size, kept.value, len(kept.digest or "")) == ("bytes", len(body), None, 64)


def test_an_event_keeps_what_an_accepted_one_keeps() -> None:
    data = {"actor": "qq:1", "group": "qq:2", "text": "see https://a.example", "mentions": ["qq:3"], "length": 4}
    event = {"specversion": "1.0", "id": "m:1", "source": "/b/1", "type": "message.created", "data": data}
    kept = of_event(json.dumps(event).encode())
    reduced = {"actor": "qq:1", "group": "qq:2", "mentions": ["qq:3"], "length": 4, "distinct": 12, "has_link": True}
    assert kept.value == {"event": {**event, "data": reduced}}
    assert kept.marked == 0


def test_of_where_somebody_was_nothing_is_kept_and_another_position_is_data() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/b", "type": "checkin.submitted"}
    here = of_event(msgspec.json.encode({**event, "data": {"position": {"latitude": 31.23, "longitude": 121.47}}}))
    third = of_event(msgspec.json.encode({**event, "data": {"position": 3}}))
    assert here.value is not None
    assert third.value is not None
    assert (here.value["event"]["data"], here.marked) == ({}, 1)
    assert (third.value["event"]["data"], third.marked) == ({"position": 3}, 0)


def test_what_is_kept_is_bounded_and_headers_with_secrets_are_not_looked_at() -> None:
    assert of_payload(json.dumps({"id": [10**9 + n for n in range(2000)]}).encode(), {}).form == "bytes"
    headers = {"x-github-event": "issues", "x-pass": "s3cret1", "authorization": "Bearer 1", "x-hub-signature-256": "1"}
    kept = of_payload(b"{}", headers)
    assert kept.value == {"headers": {"x-github-event": "issues"}, "body": {}}
    deep: Any = "x y"
    for _ in range(100):
        deep = [deep]
    assert of_payload(json.dumps(deep).encode(), {}).value is not None
    assert len(msgspec.json.encode(kept)) < MAX_KEPT


def test_what_platforms_send_means_the_same_when_it_is_translated_from_what_is_kept_of_it() -> None:
    """Where what is kept says that it is enough: which is most of what they send, but for XML."""
    enough = total = 0
    for platform, sender in senders().items():
        receiver = receivers()[platform]
        for sample in sender.samples():
            signed = sender.deliver(sample, sender.secrets[0], AT)
            plain = receiver.verify(signed, sender.secrets[:1], sender.settings)
            total += 1
            kept = of_payload(plain.body, plain.headers)
            if kept.value is None or kept.marked or platform == "mapper":
                continue
            enough += 1
            body = msgspec.json.encode(filled(kept.value["body"]))
            again = receiver.translate(Delivery(kept.value["headers"], {}, body, AT), sender.settings)
            wanted = receiver.translate(plain, sender.settings)
            said = [[(s.type, s.actor, s.group, s.subject, s.at) for s in each.seen] for each in (again, wanted)]
            assert said[0] == said[1], (platform, sample.name)
    assert enough > total / 2, (enough, total)
