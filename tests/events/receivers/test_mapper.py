"""Mappings: what they may say, what they find, and that nobody can make one run away."""

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.events.receivers import mapper
from services.events.receivers.form import Delivery, Malformed, OneSecret, Refused, Seen, Translation
from services.events.receivers.mapper import MapperSettings
from tests.events.receivers.senders.mapper import SENDER, SHOP, deliver, samples
from tests.events.receivers.sending import AT

TYPE = {"type": {"value": "order.paid"}}
WHEN = datetime(2026, 11, 25, 11, 59, tzinfo=UTC)


def settings(fields: dict[str, Any] | None = None, **more: Any) -> MapperSettings:
    return msgspec.convert({"fields": {**TYPE, **(fields or {})}, **more}, MapperSettings)


def told(body: Any, given: MapperSettings, **headers: str) -> Translation:
    return mapper.translate(Delivery(headers, {}, json.dumps(body).encode(), AT), given)


def found(body: Any, rule: dict[str, Any], name: str = "data.found", **headers: str) -> Any:
    [seen] = told(body, settings({name: rule}), **headers).seen
    return seen.data.get("found") if name == "data.found" else getattr(seen, {"time": "at"}.get(name, name))


def test_the_worked_example_becomes_a_paid_order() -> None:
    [sample] = [sample for sample in samples() if sample.name == "orders"]
    given = mapper.verify(deliver(sample, SENDER.secrets[0], AT), SENDER.secrets, SENDER.settings)
    [seen] = mapper.translate(given, SENDER.settings).seen
    assert seen == Seen(
        type="order.paid",
        id="order:1001",
        at=WHEN,
        actor="shop:77",
        subject="1001",
        data={"amount": 1990, "currency": "EUR", "channel": "web"},
        text="thanks",
    )


def test_a_bearer_token_is_the_secret_and_nothing_else() -> None:
    known = [OneSecret("one"), OneSecret("other")]
    for token in ("one", "other"):
        for scheme in ("Bearer", "bearer"):
            mapper.verify(Delivery({"authorization": f"{scheme} {token}"}, {}, b"{}", AT), known, settings())
    for header in ("Bearer two", "Basic one", "one", "Bearer ", ""):
        with pytest.raises(Refused):
            mapper.verify(Delivery({"authorization": header}, {}, b"{}", AT), known, settings())
    with pytest.raises(Refused):
        mapper.verify(Delivery({"authorization": "Bearer "}, {}, b"{}", AT), [OneSecret("")], settings())


def test_an_hmac_is_taken_in_hexadecimal_and_in_base64_after_its_prefix() -> None:
    given = settings(verify="hmac-sha256", header="X-Sign", signature_prefix="v1=")
    digest = hmac.digest(b"one", b"{}", hashlib.sha256)
    for text in (f"v1={digest.hex()}", f"v1={digest.hex().upper()}", f"v1={base64.b64encode(digest).decode()}"):
        mapper.verify(Delivery({"x-sign": text}, {}, b"{}", AT), [OneSecret("one")], given)
    for text in (digest.hex(), f"v1={digest.hex()[:-2]}", "v1=", "v1=\u00e9", f"v1={'0' * 64}"):
        with pytest.raises(Refused):
            mapper.verify(Delivery({"x-sign": text}, {}, b"{}", AT), [OneSecret("one")], given)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fields": {}}, "/fields/type: is missing"),
        ({"fields": {**TYPE, "colour": {"value": 1}}}, "/fields/colour: there are type, id"),
        ({"fields": {**TYPE, "data.actor": {"value": 1}}}, "/fields/data.actor: there are"),
        ({"fields": {**TYPE, "data.text": {"pointer": "/note"}}}, "/fields/data.text: there are"),
        ({"fields": {**TYPE, "data.a-b": {"value": 1}}}, "/fields/data.a-b: there are"),
        ({"fields": {**TYPE, **{f"data.d{n}": {"value": 1} for n in range(40)}}}, "/fields: more than 40"),
        ({"fields": {**TYPE, "id": {}}}, "/fields/id: needs one of"),
        ({"fields": {**TYPE, "id": {"value": 1, "cel": "1"}}}, "/fields/id: needs one of"),
        ({"fields": {**TYPE, "id": {"pointer": "number"}}}, "/fields/id/pointer: is no JSON pointer"),
        ({"fields": {**TYPE, "id": {"pointer": "/a~2"}}}, "/fields/id/pointer: is no JSON pointer"),
        ({"fields": {**TYPE, "id": {"cel": "item.a +"}}}, "/fields/id/cel: line 1, column 9: Syntax error"),
        (
            {"fields": {**TYPE, "id": {"cel": "item.a + order.b"}}},
            "/fields/id/cel: line 1, column 10: there is no order.b; there are",
        ),
        ({"fields": {**TYPE, "id": {"cel": "[item.a]"}}}, "/fields/id/cel: gives list"),
        ({"fields": {**TYPE, "id": {"cel": "1" * 1001}}}, "/fields/id/cel: over 1000 characters"),
        ({"fields": {"type": {"value": "guildhall.x"}}}, "/fields/type/value: types under guildhall."),
        ({"fields": {"type": {"value": "a b"}}}, "/fields/type/value: must be"),
        ({"fields": TYPE, "when": "'text'"}, "/when: gives string, wanted true or false"),
        ({"fields": TYPE, "items": "orders"}, "/items: is no JSON pointer"),
        ({"fields": TYPE, "verify": "hmac-sha256"}, "/header: which header"),
        ({"fields": TYPE, "verify": "none"}, "Invalid enum value"),
        ({"fields": TYPE, "colour": 1}, "unknown field"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_is_wrong(wrong: Any, says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(wrong, MapperSettings)
    assert says in str(refused.value)


def test_a_pointer_finds_what_it_points_to_and_otherwise_nothing() -> None:
    body = {"a": {"b/c": [10, {"~": "x"}]}, "n": None}
    assert found(body, {"pointer": "/a/b~1c/1/~0"}) == "x"
    assert found(body, {"pointer": "/a/b~1c/0"}) == 10
    assert found(body, {"pointer": "/a"}) == body["a"]
    for nowhere in ("/a/b~1c/2", "/a/b~1c/-1", "/a/b~1c/01", "/n", "/x", "/a/b~1c/0/y"):
        assert found(body, {"pointer": nowhere}) is None


def test_a_prefix_is_put_before_what_was_found_and_before_each_of_a_list() -> None:
    assert found({"id": 7}, {"pointer": "/id", "prefix": "shop:"}, "actor") == "shop:7"
    assert found({"id": ""}, {"pointer": "/id", "prefix": "shop:"}, "actor") is None
    assert found({"ids": [7, "8", ""]}, {"pointer": "/ids", "prefix": "shop:"}) == ["shop:7", "shop:8"]


def test_numbers_become_text_as_people_write_them() -> None:
    for number, text in ((7, "7"), (7.0, "7"), (7.5, "7.5"), (2**70, str(2**70))):
        assert found({"id": number}, {"pointer": "/id"}, "id") == text
    assert found({"id": 7}, {"cel": "string(item.id) + '-' + string(1.5)"}, "id") == "7-1.5"


@pytest.mark.parametrize("value", [True, [1], {"a": 1}])
def test_what_is_neither_text_nor_a_number_is_no_name(value: Any) -> None:
    with pytest.raises(Malformed) as wrong:
        told({"id": value}, settings({"id": {"pointer": "/id"}}))
    assert (wrong.value.pointer, wrong.value.message) == ("", "the rule for id is neither text nor a number")


@pytest.mark.parametrize(
    "time",
    ["2026-11-25T11:59:00Z", "2026-11-25T19:59:00+08:00", 1795607940, 1795607940000, "1795607940", "1795607940000"],
)
def test_a_time_is_taken_in_the_usual_forms(time: Any) -> None:
    assert found({"t": time}, {"pointer": "/t"}, "time") == WHEN


def test_a_time_may_be_computed_and_may_be_missing() -> None:
    assert found({"t": "2026-11-25T11:59:00"}, {"cel": "timestamp(item.t + 'Z')"}, "time") == WHEN
    assert found({}, {"pointer": "/t"}, "time") is None


@pytest.mark.parametrize("time", ["yesterday", "2026-11-25T11:59:00", True, -1, 10**30, [1], "9" * 15])
def test_what_is_no_time_is_not_taken_for_the_time_of_arrival(time: Any) -> None:
    with pytest.raises(Malformed, match="the rule for time is no time"):
        told({"t": time}, settings({"time": {"pointer": "/t"}}))


def test_without_an_id_the_item_itself_tells_it_apart_however_it_is_laid_out() -> None:
    def id_of(body: bytes) -> str:
        return mapper.translate(Delivery({}, {}, body, AT), settings({"id": {"pointer": "/number"}})).seen[0].id

    assert id_of(b'{"a": 1, "b": 2}') == id_of(b'{"b":2,"a":1}') != id_of(b'{"a": 1, "b": 3}')
    assert id_of(b'{"number": 5}') == "5"


def test_items_are_one_object_or_each_of_a_list() -> None:
    given = {"id": {"pointer": "/n"}}
    assert [seen.id for seen in told({"n": 1}, settings(given)).seen] == ["1"]
    assert [seen.id for seen in told([{"n": 1}, {"n": 2}], settings(given)).seen] == ["1", "2"]
    assert [seen.id for seen in told({"a": {"n": 3}}, settings(given, items="/a")).seen] == ["3"]
    assert told({"a": []}, settings(given, items="/a")).ignored == "nothing_in_it"


@pytest.mark.parametrize(
    ("body", "pointer"), [({}, "/a"), ({"a": 7}, "/a"), ({"a": [{}, 7]}, "/a/1"), ({"a": [{}] * 501}, "/a")]
)
def test_items_that_are_not_there_no_objects_or_too_many_are_malformed(body: Any, pointer: str) -> None:
    with pytest.raises(Malformed) as wrong:
        told(body, settings(items="/a"))
    assert wrong.value.pointer == pointer


def test_only_what_meets_the_condition_counts_and_what_cannot_be_asked_does_not() -> None:
    given = settings({"id": {"pointer": "/n"}}, when="item.paid && headers['x-topic'] == 'orders'")
    body = [{"n": 1, "paid": True}, {"n": 2, "paid": False}, {"n": 3}, {"n": 4, "paid": "yes"}]
    assert [seen.id for seen in told(body, given, **{"x-topic": "orders"}).seen] == ["1"]
    assert told(body, given).ignored == "condition_not_met"


def test_an_expression_without_a_value_is_named_and_has_asks_first() -> None:
    with pytest.raises(Malformed, match="has no value here") as wrong:
        found({"secret": 1}, {"cel": "item.x.y"})
    assert "secret" not in wrong.value.message
    assert found({}, {"cel": "has(item.x) ? item.x : null"}) is None
    with pytest.raises(Malformed, match="gives a list or an object"):
        found({"x": [1]}, {"cel": "item.x"})


def test_a_type_that_is_not_found_is_malformed() -> None:
    given = msgspec.convert({"fields": {"type": {"pointer": "/kind", "prefix": "shop."}}}, MapperSettings)
    with pytest.raises(Malformed, match="the rule for type finds nothing"):
        told({}, given)
    assert told({"kind": "refund"}, given).seen[0].type == "shop.refund"


def test_headers_that_prove_who_sent_it_cannot_be_kept() -> None:
    given = settings({"data.found": {"cel": "size(headers)"}}, verify="hmac-sha256", header="X-Sign")
    headers = {"authorization": "a", "cookie": "b", "proxy-authorization": "c", "x-sign": "d", "x-topic": "e"}
    assert told({}, given, **headers).seen[0].data == {"found": 1}


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(Malformed, match="is over 65536 bytes"):
        told({"x": "x" * 70_000}, settings())
    with pytest.raises(Malformed, match="is over 4096 bytes"):
        found({"x": "x" * 5000}, {"pointer": "/x"})
    with pytest.raises(Malformed, match="is no number"):
        found({"x": 1.0}, {"cel": "item.x / 0.0"})


@pytest.mark.parametrize(
    "cel",
    [
        "item.l.all(a, item.l.all(b, item.l.all(c, item.l.all(d, a + b + c + d >= 0))))",
        "size(item.l.map(a, item.l.map(b, item.l.map(c, item.s)))) > 0",
        "item.l.exists(a, item.s.matches('(x+x+)+y'))",
        "size(" + "+".join(["item.s"] * 25) + ") > 0",
    ],
)
def test_no_expression_runs_away(cel: str) -> None:
    body = {"l": list(range(1000)), "s": "x" * 30_000}
    began = time.monotonic()
    with suppress(Malformed):
        found(body, {"cel": cel})
    assert time.monotonic() - began < 5


def test_numbers_and_depths_the_library_does_not_take_are_no_trap() -> None:
    assert found({"x": 2**70}, {"cel": "item.x > 1.0"}) is True
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert found({"x": deep, "y": 5}, {"cel": "item.y"}) == 5
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"", b'"x"', b"7"):
        with pytest.raises(Malformed):
            mapper.translate(Delivery({}, {}, body, AT), settings())


def test_what_to_paste_says_how_to_prove_who_posts() -> None:
    url = "https://example.org/v1/hooks/1"
    assert "Authorization: Bearer s" in mapper.setup(url, OneSecret("s"), settings()).snippet
    shop = msgspec.convert(SHOP, MapperSettings)
    assert "X-Shop-Signature: sha256=" in mapper.setup(url, OneSecret("s"), shop).snippet
