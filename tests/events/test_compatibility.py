"""A later version takes what the one before took (E8): what is let through is tried on data nobody would think of."""

import json
from functools import partial
from random import Random
from typing import Any

import pytest

from kit.json_schemas import SchemaUnfit, compiled
from services.events.compatibility import breaking_changes

NAMES = ("a", "b")
KINDS = ("null", "boolean", "integer", "number", "string", "array", "object")
SCALARS = (None, True, False, -3, 0, 1, 2, 3, 4, 6, 0.5, 2.0, "", "x", "xy", "long text")
HOLDS_ONE = ("additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames",
             "unevaluatedProperties", "unevaluatedItems")  # fmt: skip
HOLDS_SOME = ("prefixItems", "allOf", "anyOf", "oneOf")
HOLDS_NAMED = ("properties", "patternProperties", "dependentSchemas")
COUNTS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength", "minItems",
          "maxItems", "minProperties", "maxProperties", "minContains", "maxContains")  # fmt: skip


class Made:
    """Schemas and values by chance, from a seed. (Hypothesis takes minutes for schemas like these.)"""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def value(self, deep: int = 2) -> Any:
        kind = self.random.random()
        if deep == 0 or kind < 0.5:
            return self.random.choice(SCALARS)
        if kind < 0.7:
            return [self.value(deep - 1) for _ in range(self.random.randrange(4))]
        return self.object(deep - 1)

    def object(self, deep: int = 2) -> dict[str, Any]:
        return {name: self.value(deep) for name in (*NAMES, "c") if self.random.random() < 0.6}

    def schema(self, deep: int) -> Any:
        return self.keywords(deep) if deep and self.random.random() < 0.8 else self.random.random() < 0.8

    def keywords(self, deep: int) -> dict[str, Any]:
        return dict(self.keyword(deep - 1) for _ in range(self.random.randrange(4)))

    def keyword(self, deep: int) -> tuple[str, Any]:
        choose, inner = self.random.choice, partial(self.schema, deep)
        kind = self.random.random()
        if kind < 0.2:
            return "type", choose([choose(KINDS), self.random.sample(KINDS, 3)])
        if kind < 0.4:
            return choose(COUNTS), self.random.randrange(4)
        if kind < 0.55:
            return choose([
                ("enum", [self.value(1) for _ in range(3)]), ("const", choose(SCALARS)), ("pattern", "x"),
                ("multipleOf", choose([1, 2, 4, 0.5])), ("uniqueItems", True), ("required", [choose(NAMES)]),
                ("dependentRequired", {"a": ["b"]}), ("$ref", "#/$defs/one"),
            ])  # fmt: skip
        if kind < 0.75:
            return "properties", {name: inner() for name in NAMES if self.random.random() < 0.7}
        if kind < 0.9:
            return choose(HOLDS_ONE), inner()
        if kind < 0.97:
            return choose(HOLDS_SOME), [inner() for _ in range(self.random.randrange(1, 3))]
        return choose([("patternProperties", {"a|c": inner()}), ("dependentSchemas", {"a": inner()})])

    def versions(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Two schemas that have most in common."""
        both = self.keywords(3)
        old = {**both, **self.keywords(3)}
        new = {name: value for name, value in old.items() if self.random.random() < 0.8}
        if self.random.random() < 0.8:
            new.update([self.keyword(2)])
        place = self.random.randrange(4)
        if place == 1:
            old, new = {"properties": {"a": old}}, {"properties": {"a": new}}
        elif place == 2:
            old, new = ({"properties": {"a": {"items": one}}} for one in (old, new))
        elif place == 3:
            there = {"properties": {"a": {"$ref": "#/$defs/one"}}}
            return {**there, "$defs": {"one": described(old)}}, {**there, "$defs": {"one": new}}
        return {"$defs": {"one": {}}, **described(old)}, {"$defs": {"one": {}}, **new}


def described(schema: Any, deep: int = 4) -> Any:
    """With every field spoken of, as deep as data goes: that what no version spoke of may be described is the one
    thing that is let through."""
    if schema is False or not deep:
        return schema
    out = {} if schema is True else dict(schema)
    less = partial(described, deep=deep - 1)
    out.update({name: less(out[name]) for name in HOLDS_ONE if name in out})
    out.update({name: [less(one) for one in out[name]] for name in HOLDS_SOME if name in out})
    for name in HOLDS_NAMED:
        if name in out:
            out[name] = {key: less(one) for key, one in out[name].items()}
    if "additionalProperties" not in out:
        out["properties"] = {**dict.fromkeys((*NAMES, "c"), less(True)), **out.get("properties", {})}
    out.setdefault("items", less(True))
    return out


@pytest.mark.parametrize("start", range(0, 8_000, 2_000))
def test_whatever_fitted_fits_still_when_nothing_is_said_against_a_version(start: int) -> None:
    compared = 0
    for seed in range(start, start + 2_000):
        made = Made(seed)
        old, new = made.versions()
        if old == new or breaking_changes(old, new):
            continue
        try:
            before, after = compiled(old), compiled(new)
        except SchemaUnfit:
            continue
        compared += 1
        for _ in range(30):
            one = made.object()
            assert not before.is_valid(one) or after.is_valid(one), (seed, old, new, one)
    assert compared > 200


def test_a_schema_does_not_break_itself() -> None:
    for seed in range(500):
        schema = Made(seed).keywords(3)
        assert breaking_changes(schema, json.loads(json.dumps(schema))) == []


def fields(**more: Any) -> dict[str, Any]:
    return {"properties": more}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (fields(a={"const": 1}), fields(a={"enum": [1, 2]})),
        (fields(a={"enum": [1]}), fields(a={"type": "integer", "enum": [1, 2]})),
        (fields(a={"minimum": 5}), fields(a={"exclusiveMinimum": 4})),
        (fields(a={"multipleOf": 10}), fields(a={"multipleOf": 5})),
        (fields(a={"type": "integer"}), fields(a={"type": "number", "minLength": 3})),
        (fields(a={"type": "string"}), fields(a={"type": "string", "minLength": 0})),
        ({"additionalProperties": False}, {"additionalProperties": {"type": "string"}}),
        ({"additionalProperties": False}, {**fields(b={"type": "string"}), "additionalProperties": False}),
        (fields(a={"not": {"type": "null"}}), fields(a={})),
        (fields(a={"anyOf": [{"type": "null"}]}), fields(a={"anyOf": [{"type": "string"}, {"type": "null"}]})),
        (fields(a={"allOf": [{"minLength": 1}, {"maxLength": 5}]}), fields(a={"allOf": [{"maxLength": 5}]})),
        ({}, {"type": "object"}),
        (fields(a=True), fields(a=True, b={"type": "string"})),
    ],
)
def test_versions_that_take_more(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert breaking_changes(old, new) == []


CLOSED = {**fields(a={"type": "string"}), "additionalProperties": False}
OTHERS = {"additionalProperties": {"type": "integer"}}
REFERS = {**fields(a={"$ref": "#/$defs/x"}), "$defs": {"x": {"type": "string"}}}


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (CLOSED, {"additionalProperties": False}, "/additionalProperties"),
        (fields(a={}), fields(a={"items": {"type": "string"}}), "/properties/a/items/type"),
        (REFERS, {**REFERS, "$defs": {"x": {"type": "string", "maxLength": 3}}}, "/$defs/x/maxLength"),
        (fields(a={"const": True}), fields(a={"const": False}), "/properties/a/const"),
        (fields(a={"enum": [1, 2]}), fields(a={"enum": [True, 2]}), "/properties/a/enum"),
        (fields(a={}), fields(a={"const": False}), "/properties/a/const"),
        (OTHERS, {**OTHERS, **fields(b={"type": "string"})}, "/properties/b/type"),
        (fields(a={"minimum": 4}), fields(a={"exclusiveMinimum": 4}), "/properties/a/exclusiveMinimum"),
        (fields(a={"multipleOf": 5}), fields(a={"multipleOf": 10}), "/properties/a/multipleOf"),
        (fields(**{"a/b": {}}), fields(**{"a/b": {"type": "null"}}), "/properties/a~1b/type"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, {}, "/$schema"),
        ({}, {"propertyNames": {"maxLength": 3}}, "/propertyNames"),
        ({}, {"dependentRequired": {"a": ["b"]}}, "/dependentRequired"),
    ],
)  # fmt: skip
def test_versions_that_take_less_are_told_where(old: dict[str, Any], new: dict[str, Any], where: str) -> None:
    assert where in [at for at, _ in breaking_changes(old, new)]


def test_a_schema_deeper_than_anybody_writes_is_not_followed_to_its_end() -> None:
    old: dict[str, Any] = {}
    new: dict[str, Any] = {"type": "string"}
    for _ in range(300):
        old, new = fields(a=old), fields(a=new)
    assert [sentence for _, sentence in breaking_changes(old, new)] == ["too deep to be compared"]
