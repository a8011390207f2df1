"""What one rule set has that another has not, rule by rule and field by field."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
ABSENT: Final = None


class FieldChange(NamedTuple):
    """`field` is a pointer into the rule (`give/0/amount`); None where it is not there."""

    field: str
    before: Any
    after: Any


class RuleChange(NamedTuple):
    """`rule_id` None: what holds for all rules together, their limits, who earns nothing, seasons. Only what is
    `changed` has fields."""

    rule_id: str | None
    change: str
    fields: tuple[FieldChange, ...]
    text: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RuleChange]:
    """From one set to the other, both as JSON with every field; in the order of the rules' ids."""
    old, new = ({rule["id"]: rule for rule in rules["rules"]} for rules in (before, after))
    out = []
    for id in sorted(old.keys() | new.keys()):
        if id not in old:
            out.append(RuleChange(id, ADDED, (), f"{id}: new"))
        elif id not in new:
            out.append(RuleChange(id, REMOVED, (), f"{id}: gone"))
        elif fields := tuple(_changes(old[id], new[id], "")):
            out.append(RuleChange(id, CHANGED, fields, _text(id, fields)))
    if fields := tuple(_changes(before["unit_caps"], after["unit_caps"], "unit_caps")):
        out.append(RuleChange(None, CHANGED, fields, _text("all rules together", fields)))
    for name, words in (("excluded_segments", "who earns nothing"), ("seasons", "seasons of limits")):
        if fields := tuple(_changes(before[name], after[name], name)):
            out.append(RuleChange(None, CHANGED, fields, _text(words, fields)))
    return out


def _changes(before: Any, after: Any, at: str) -> Iterator[FieldChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _changes(before.get(name), after.get(name), f"{at}/{name}" if at else name)
    elif _is_list(before) and _is_list(after) and any(isinstance(item, Mapping) for item in (*before, *after)):
        for i in range(max(len(before), len(after))):
            old, new = (side[i] if i < len(side) else ABSENT for side in (before, after))
            yield from _changes(old, new, f"{at}/{i}")
    elif before != after:
        yield FieldChange(at, before, after)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _text(name: str, fields: Sequence[FieldChange]) -> str:
    return f"{name}: " + "; ".join(f"{f.field} {_value(f.before)} → {_value(f.after)}" for f in fields)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if _is_list(value):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items() if item is not None)
    return str(value)
