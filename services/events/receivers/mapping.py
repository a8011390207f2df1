"""How a JSON object becomes an activity: pointers, constants and CEL, checked when they are written down.

The library is the one rules are written for (docs/decisions/0004-cel.md): it stops by itself. What goes into it is
bounded here: lists of 1,000, 32 levels, expressions of 1,000 characters that give one value and no list.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from cel_expr_python import cel

from services.events.receivers.reading import instant, iso

MAX_EXPRESSION = 1000
MAX_LIST = 1000
MAX_DEPTH = 32
MAX_VALUE = 4096
"""Bytes of JSON that one field of `data` may have."""

_T = cel.Type
_ENVIRONMENT = cel.NewEnv(variables={"item": _T.Map(_T.STRING, _T.DYN), "headers": _T.Map(_T.STRING, _T.STRING)})
_VALUES = (_T.DYN, _T.STRING, _T.INT, _T.UINT, _T.DOUBLE, _T.BOOL, _T.TIMESTAMP, _T.NULL)
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
# A number this large is no count of seconds: that would be the year 5138.
_MILLISECONDS_FROM = 10**11


class Unusable(Exception):
    """What a rule finds is nothing its field can hold; the message never has the text that was found."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a value comes from: exactly one of a JSON pointer into the item, a constant, a CEL expression over `item`
    and `headers`. `prefix` is put before what was found, in a list before each; nothing found stays nothing."""

    pointer: str | None = None
    value: str | int | float | bool | None = None
    cel: str | None = None
    prefix: str = ""


def wrong_rule(rule: Rule, at: str) -> str | None:
    """What is wrong with it, beginning with a JSON pointer; None when nothing is."""
    given = [name for name in ("pointer", "value", "cel") if getattr(rule, name) is not None]
    if len(given) != 1:
        return f"{at}: needs one of pointer, value, cel"
    if rule.pointer is not None:
        return wrong_pointer(rule.pointer, f"{at}/pointer")
    return wrong_expression(rule.cel, f"{at}/cel", _VALUES, "one value") if rule.cel is not None else None


def wrong_pointer(pointer: str, at: str) -> str | None:
    if (pointer and not pointer.startswith("/")) or re.search(r"~(?![01])", pointer):
        return f"{at}: is no JSON pointer, such as /order/customer/id"
    return None


def wrong_condition(source: str, at: str) -> str | None:
    return wrong_expression(source, at, (_T.DYN, _T.BOOL), "true or false")


def wrong_expression(source: str, at: str, types: tuple[Any, ...], wanted: str) -> str | None:
    if len(source) > MAX_EXPRESSION:
        return f"{at}: over {MAX_EXPRESSION} characters"
    try:
        given = _compiled(source).return_type()
    except RuntimeError as error:
        return f"{at}: {_problem(str(error))}"
    return None if given in types else f"{at}: gives {given.name().lower()}, wanted {wanted}"


def _problem(text: str) -> str:
    found = _PLACE.search(text)
    if found is None:
        return text.splitlines()[0][:300]
    message, column = found[3].removesuffix(" (in container '')")[:300], int(found[2])
    unknown = re.match(r"undeclared reference to '([^']+)'", message)
    if unknown:
        message = f"there is no {unknown[1]}; there are item and headers"
        # The library points at the last dot of a name, a person looks for its beginning.
        column = max(1, column - len(unknown[1].rpartition(".")[0]))
    return f"line {found[1]}, column {column}: {message}"


@lru_cache(maxsize=4096)
def _compiled(source: str) -> Any:
    return _ENVIRONMENT.compile(source)


class Context:
    """One item, and the headers it came with."""

    __slots__ = ("_activation", "item")

    def __init__(self, item: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.item = item
        self._activation = _ENVIRONMENT.Activation({"item": _bounded(item), "headers": dict(headers)})

    def holds(self, condition: str) -> bool:
        """Unusable when it gives no bool, also because what it asks for is missing."""
        value = self._computed(condition)
        if not isinstance(value, bool):
            raise Unusable("gives no bool")
        return value

    def found(self, rule: Rule) -> Any:
        """What the rule finds, None for nothing; without its prefix."""
        if rule.pointer is not None:
            return pointed(self.item, rule.pointer)
        return self._computed(rule.cel) if rule.cel is not None else rule.value

    def _computed(self, source: str) -> Any:
        try:
            result = _compiled(source).eval(self._activation)
        except RuntimeError as error:
            # The library's budget ends an evaluation this way.
            raise Unusable("is too much to compute") from error
        if result.type() == _T.ERROR:
            raise Unusable(
                "has no value here: something is missing, or of another type; has() asks whether it is there"
            )
        if result.type() not in _VALUES:
            raise Unusable("gives a list or an object, wanted one value")
        return result.plain_value()


def pointed(value: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) points to, None where there is nothing."""
    for step in _steps(pointer):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


@lru_cache(maxsize=4096)
def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def as_text(value: Any, prefix: str) -> str | None:
    """Text, or a number as text; None for nothing and for empty text."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return prefix + value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unusable("is neither text nor a number")
    if isinstance(value, float):
        value = int(value) if _finite(value).is_integer() else value
    return f"{prefix}{value}"


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unusable("is no number")
    return value


def as_time(value: Any) -> datetime | None:
    """An instant: RFC 3339 with a zone, or seconds or milliseconds since 1970, also as text."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**15:
        at = instant(value / 1000 if value >= _MILLISECONDS_FROM else value)
    else:
        at = iso({"": value}, "")
    if at is None:
        raise Unusable("is no time with a zone (RFC 3339), nor seconds or milliseconds since 1970")
    return at


def as_data(value: Any, prefix: str) -> Any:
    """Anything small; None for nothing."""
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, float):
        _finite(value)
    if prefix and isinstance(value, list):
        value = [text for one in value if (text := as_text(one, prefix))]
    elif prefix:
        value = as_text(value, prefix)
    if len(msgspec.json.encode(value)) > MAX_VALUE:
        raise Unusable(f"is over {MAX_VALUE} bytes")
    return value


def _bounded(value: Any, depth: int = 0) -> Any:
    """Lists cut, nothing too deep inside, integers beyond 64 bits as floats, so that the library takes what came."""
    if isinstance(value, (Mapping, list)) and depth > MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {key: _bounded(inside, depth + 1) for key, inside in value.items()}
    if isinstance(value, list):
        return [_bounded(inside, depth + 1) for inside in value[:MAX_LIST]]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value) if abs(value) < 10**300 else None
    return value
