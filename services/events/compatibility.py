"""Whether data that fits one JSON Schema fits a later one as well (E8). Pure.

Compared is what can be decided from the two schemas alone, keyword by keyword, inside properties, items and definitions
too. What cannot be (conditions, alternatives, patterns) must stay as it is or go. One thing is let through on purpose:
a field that no version spoke of may be described by the next one, although somebody might have sent it with something
else in it; without that no open schema could ever grow.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Problem = tuple[str, str]
"""JSON pointer into the new schema, and a sentence."""

MOST_DEEP = 100

_ALL = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})

# Keyword → the kinds of values it says something about.
_NUMBERS, _STRINGS, _ARRAYS, _OBJECTS = {"integer", "number"}, {"string"}, {"array"}, {"object"}
_ABOUT: dict[str, set[str]] = {
    "multipleOf": _NUMBERS, "pattern": _STRINGS, "format": _STRINGS, "uniqueItems": _ARRAYS,
    "minLength": _STRINGS, "maxLength": _STRINGS, "minItems": _ARRAYS, "maxItems": _ARRAYS,
    "minProperties": _OBJECTS, "maxProperties": _OBJECTS,
}  # fmt: skip

# What goes together, and may only stay as it is or go altogether.
_GROUPS = (
    ("oneOf",), ("not",), ("if", "then", "else"), ("contains", "minContains", "maxContains"), ("propertyNames",),
    ("dependentRequired",), ("dependentSchemas",), ("dependencies",), ("unevaluatedProperties",), ("unevaluatedItems",),
)  # fmt: skip

# What may only stay as it is. Without `$ref` what stands beside it may come alive, as older drafts read it.
_FIXED = (
    "$ref", "$dynamicRef", "$recursiveRef", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor",
    "patternProperties", "prefixItems", "additionalItems",
)  # fmt: skip

# Where what is inside takes more, the whole may take less.
_CONTRARY = frozenset(
    {"not", "if", "oneOf", "maxContains", "unevaluatedProperties", "unevaluatedItems", "dependentSchemas"}
)
_REFS = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Problem]:
    """Why data (an object) that fits `old` might not fit `new`; [] when it does."""
    if old.get("$schema") != new.get("$schema"):
        return [("/$schema", "another dialect may read the same words differently")]
    if _same(old, new):
        return []
    contrary = any(word in _CONTRARY for schema in (old, new) for word in _words(schema))
    if contrary and any(word in _REFS for word in _words(new)):
        return [("", "with $ref beside not, if, oneOf and the like nobody can tell; publish another type")]
    return list(dict.fromkeys(_changes(old, new, "", 0, {"object"})))


def _words(schema: Any) -> Iterator[str]:
    level = [schema]
    while level:
        one = level.pop()
        if isinstance(one, Mapping):
            yield from one
            level += one.values()
        elif isinstance(one, list):
            level += one


def _same(one: Any, other: Any) -> bool:
    # As JSON: `true` is not 1, which Python takes for equal.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _inside(old: Any, new: Any, at: str, depth: int) -> list[Problem]:
    if new is True or old is False or _same(old, new):
        return []
    if new is False:
        return [(at, "nothing is allowed here any more")]
    if depth > MOST_DEEP:
        return [(at, "too deep to be compared")]
    return _changes(_mapping(old), _mapping(new), at, depth + 1, _ALL)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], at: str, depth: int, possible: Any) -> list[Problem]:
    """`possible`: the kinds of values there can be, whatever `old` says."""
    kinds = _kinds(old, possible)
    out = [(f"{at}/{word}", sentence) for word, sentence in _narrowed(old, new, kinds)]
    out += [(f"{at}/{word}", f"{word} changes, and nobody can tell what for") for word in _opaque(old, new)]
    if "object" in kinds:
        out += _fields(old, new, at, depth)
    if "array" in kinds:
        out += _elements(old, new, at, depth)
    for place in ("$defs", "definitions"):
        before, after = _mapping(old.get(place)), _mapping(new.get(place))
        for name in sorted(before.keys() & after.keys()):
            out += _inside(before[name], after[name], f"{at}/{place}/{_escaped(name)}", depth)
    return out


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _kinds(schema: Mapping[str, Any], possible: Any) -> set[str]:
    """The kinds of values that may fit."""
    kinds = set(possible) & _named(schema) if "type" in schema else set(possible)
    values = _values(schema)
    return kinds & {kind for value in values for kind in _kinds_of(value)} if values is not None else kinds


def _named(schema: Mapping[str, Any]) -> set[str]:
    types = schema["type"]
    names = {types} if isinstance(types, str) else set(types)
    return names | {"integer"} if "number" in names else names


def _kinds_of(value: Any) -> set[str]:
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int | float):
        return {"integer"} if value == int(value) else {"number"}
    return {"string"} if isinstance(value, str) else {"array"} if isinstance(value, list) else {"object"}


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    """The only values that fit, where they are told."""
    if "const" not in schema:
        return list(schema["enum"]) if "enum" in schema else None
    alone = [schema["const"]]
    return alone if "enum" not in schema else [value for value in alone if _among(value, schema["enum"])]


def _among(value: Any, values: list[Any]) -> bool:
    return any(
        _same(value, one) or (type(value) is not bool and type(one) is not bool and value == one) for one in values
    )


def _narrowed(old: Mapping[str, Any], new: Mapping[str, Any], kinds: set[str]) -> Iterator[Problem]:
    """(keyword, sentence) of each keyword of `new` that lets less through than `old`."""
    if "type" in new and not kinds <= _named(new):
        yield "type", "the type changes"
    values, allowed = _values(old), _values(new)
    if allowed is not None and (values is None or not all(_among(value, allowed) for value in values)):
        yield "const" if "const" in new else "enum", "values are no longer allowed"
    if "object" in kinds:
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield "required", f"{name} becomes required"
    if kinds & _NUMBERS:
        yield from _bounds(old, new)
    for word, about in _ABOUT.items():
        if word in new and kinds & about and not _wide_enough(word, old.get(word), new[word]):
            yield word, f"{word} lets less through"


def _bounds(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Problem]:
    for word, open_word, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        given = [schema.get(name) for schema in (old, new) for name in (word, open_word)]
        if any(isinstance(value, bool) for value in given):
            # As draft 4 says it: a word about the other one.
            if given[:2] != given[2:]:
                yield word, f"{word} changes"
            continue
        before, after = (_bound(schema, word, open_word, sign) for schema in (old, new))
        if after is not None and (before is None or before < after):
            yield word if word in new else open_word, "the bound lets less through"


def _bound(schema: Mapping[str, Any], word: str, open_word: str, sign: int) -> tuple[Any, bool] | None:
    """The tighter of the two; higher is tighter."""
    found = [(sign * schema[name], name == open_word) for name in (word, open_word) if name in schema]
    return max(found, default=None)


def _wide_enough(word: str, old: Any, new: Any) -> bool:
    if word.startswith("min"):
        return bool(new <= (old or 0))
    if word.startswith("max"):
        return old is not None and bool(new >= old)
    if word == "multipleOf":
        return old is not None and (old == new or (isinstance(old, int) and isinstance(new, int) and old % new == 0))
    if word == "uniqueItems":
        return not new or bool(old)
    return bool(old == new)


def _opaque(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    # What is not evaluated elsewhere depends on everything that is there to evaluate it.
    whole = "unevaluatedProperties" in new or "unevaluatedItems" in new
    for group in _GROUPS:
        before, after = ([schema.get(word) for word in group] for schema in (old, new))
        gone = not any(word in new for word in group)
        if not _same(before, after) and (whole or not gone):
            yield next((word for word in group if word in new), group[0])
    for word in _FIXED:
        if not _same(old.get(word), new.get(word)):
            yield word
    for word in ("allOf", "anyOf"):
        parts, later = old.get(word), new.get(word)
        more, less = (later, parts) if word == "anyOf" else (parts, later)
        within = parts is not None and all(any(_same(one, other) for other in more or ()) for one in less or ())
        if not _same(parts, later) and (whole or (later is not None and not within)):
            yield word


def _fields(old: Mapping[str, Any], new: Mapping[str, Any], at: str, depth: int) -> list[Problem]:
    before, after = _mapping(old.get("properties")), _mapping(new.get("properties"))
    others_before, others_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
    out: list[Problem] = []
    fewer = before.keys() - after.keys() or ("additionalProperties" in old and "additionalProperties" not in new)
    if "unevaluatedProperties" in new and fewer:
        out.append((f"{at}/unevaluatedProperties", "fields that were described are no longer"))
    for name in sorted(before.keys() | after.keys()):
        # Where patterns describe fields too, one that is not listed may have been described by them.
        unlisted = True if "patternProperties" in old else others_before
        was, now = before.get(name, unlisted), after.get(name, others_after)
        place = f"{at}/properties/{_escaped(name)}" if name in after else f"{at}/additionalProperties"
        if name in before or was is not True:
            out += _inside(was, now, place, depth)
    return out + _inside(others_before, others_after, f"{at}/additionalProperties", depth)


def _elements(old: Mapping[str, Any], new: Mapping[str, Any], at: str, depth: int) -> list[Problem]:
    before, after = old.get("items", True), new.get("items", True)
    if isinstance(before, list) or isinstance(after, list):
        return [] if _same(before, after) else [(f"{at}/items", "items changes, and nobody can tell what for")]
    out = _inside(before, after, f"{at}/items", depth)
    if "unevaluatedItems" in new and "items" in old and "items" not in new:
        out.append((f"{at}/unevaluatedItems", "items that were described are no longer"))
    return out
