"""Conditions and computed amounts: CEL behind one small interface, the only file that knows which library it is.

Guaranteed: an expression is checked against typed variables when a rule set is saved; evaluation never raises and
never runs away (the library stops a macro over 10,000 items, lists are cut to 1,000 before that); no floats as amounts.
The library was chosen for that budget: the others run until killed (docs/decisions/0004-cel.md).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from kit.errors import FieldError
from services.rewards.domain.reasons import Reason, Why, library_said
from services.rewards.domain.signals import SIGNALS

_T = cel.Type
_OBJECT = _T.Map(_T.STRING, _T.DYN)
_TEXTS = _T.List(_T.STRING)

VARIABLES: dict[str, Any] = {
    "event.type": _T.STRING,
    "event.source": _T.STRING,
    "event.subject": _T.STRING,
    "event.group": _T.STRING,
    "event.actor": _T.STRING,
    "event.author": _T.STRING,
    "event.time": _T.TIMESTAMP,
    "event.history": _T.BOOL,
    "event.data": _OBJECT,
    "actor.id": _T.STRING,
    "actor.kind": _T.STRING,
    "actor.state": _T.STRING,
    "actor.age_days": _T.INT,
    "actor.level": _T.INT,
    "actor.active_days": _T.INT,
    "actor.segments": _TEXTS,
    "author.id": _T.STRING,
    "author.kind": _T.STRING,
    "author.state": _T.STRING,
    "author.segments": _TEXTS,
    "inviter.id": _T.STRING,
    "inviter.kind": _T.STRING,
    "inviter.state": _T.STRING,
    "inviter.segments": _TEXTS,
    "group.id": _T.STRING,
    "group.platform": _T.STRING,
    "streak.current": _T.INT,
    "streak.longest": _T.INT,
    "streak.days": _T.INT,
    "checkin.status": _T.STRING,
    "text.length": _T.INT,
    "text.distinct": _T.INT,
    "counts.day": _T.INT,
    "counts.week": _T.INT,
    "counts.month": _T.INT,
    "counts.ever": _T.INT,
    "signals.minute": _T.INT,
    "signals.hour": _T.INT,
    "signals.mutual": _T.INT,
    "signals.share": _T.INT,
    "signals.ring": _T.INT,
    "signals.received": _T.INT,
    "signals.received_days": _T.INT,
    "signals.similar": _T.INT,
    "signals.copied": _T.INT,
}
"""What a rule's expression sees. Absent texts and lists are empty; fields of `event.data` need `has()` where they may
be missing."""

ELSEWHERE = {name: type for name, type in VARIABLES.items() if name not in SIGNALS and name != "checkin.status"}
"""What other conditions see (of badges and check-ins): those of check-ins run before either of these is known, and find
streaks at 0 for the same reason."""

STREAKS = frozenset(name for name in VARIABLES if name.startswith("streak."))

NUMBERS = frozenset(name for name, type in VARIABLES.items() if type == _T.INT)

MAX_ITEMS = 1000
_ENVIRONMENT = cel.NewEnv(variables=VARIABLES)
_ENVIRONMENT_ELSEWHERE = cel.NewEnv(variables=ELSEWHERE)
_WORD = re.compile(r"\w+")
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")


class Failed(Exception):
    """An evaluation that gave no usable value; `reason` says why, where it is the library's doing in its words."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Problem:
    """Where an expression is wrong: 1-based line and column, a sentence, and a hint where there is one."""

    line: int
    column: int
    message: str


@lru_cache(maxsize=4096)
def _compiled(source: str) -> Any:
    return _ENVIRONMENT.compile(source)


@lru_cache(maxsize=4096)
def names_in(source: str) -> frozenset[str]:
    """The variables that an expression may look at: those whose words all stand in it, so none too few."""
    words = set(_WORD.findall(source))
    return frozenset(name for name in VARIABLES if words.issuperset(name.split(".")))


def check(source: str, wanted: str, *, of_rule: bool = True) -> Problem | None:
    """What is wrong with an expression that should give a `bool` or an `int`; None when nothing is. `of_rule`: whether
    it may look at signals."""
    try:
        expression = _compiled(source) if of_rule else _ENVIRONMENT_ELSEWHERE.compile(source)
    except RuntimeError as error:
        return _problem(str(error), VARIABLES if of_rule else ELSEWHERE)
    given = expression.return_type()
    if given not in (_T.DYN, _T.BOOL if wanted == "bool" else _T.INT):
        return Problem(1, 1, f"gives {given.name().lower()}, wanted {wanted}" + _int_hint(given, wanted))
    return None


def _int_hint(given: Any, wanted: str) -> str:
    return "; int(…) makes a whole number" if wanted == "int" and given in (_T.DOUBLE, _T.UINT) else ""


def _problem(text: str, variables: Mapping[str, Any]) -> Problem:
    match = _PLACE.search(text)
    if match is None:
        return Problem(1, 1, text.splitlines()[0][:300])
    message, column = match[3].removesuffix(" (in container '')"), int(match[2])
    unknown = re.match(r"undeclared reference to '([^']+)'", message)
    if unknown:
        name = unknown[1]
        close = get_close_matches(name, variables, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        message = f"there is no {name}; {hint}there are {', '.join(sorted(variables))}"
        # The library points at the last dot of a name, a person looks for its beginning.
        column = max(1, column - len(name.rpartition(".")[0]))
    return Problem(int(match[1]), column, message[:900])


def field_error(source: str, wanted: str, pointer: str, *, of_rule: bool = True) -> FieldError | None:
    """The same as an entry of a problem document."""
    wrong = check(source, wanted, of_rule=of_rule)
    if wrong is None:
        return None
    return FieldError(pointer, "expression_invalid", f"line {wrong.line}, column {wrong.column}: {wrong.message}")


class Context:
    """The variables of one event, made once and used by every rule that looks at it."""

    __slots__ = ("_activation",)

    def __init__(self, values: dict[str, Any]) -> None:
        self._activation = _ENVIRONMENT.Activation({**values, "event.data": _bounded(values["event.data"])})

    def condition(self, source: str) -> bool:
        """Whether it holds; Failed when it gives no bool."""
        value = self._evaluate(source)
        if not isinstance(value, bool):
            raise Failed(Why.NO_CONDITION.reason(type=type(value).__name__))
        return value

    def amount(self, source: str) -> int:
        """A whole number; Failed for anything else."""
        value = self._evaluate(source)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Failed(Why.NO_AMOUNT.reason(type=type(value).__name__))
        return value

    def _evaluate(self, source: str) -> Any:
        try:
            result = _compiled(source).eval(self._activation)
        except RuntimeError as error:
            # The iteration budget ends evaluation this way.
            raise Failed(library_said(str(error))) from error
        if result.type() == _T.ERROR:
            raise Failed(library_said(str(result.value())))
        return result.plain_value()


def _bounded(value: Any) -> Any:
    """Lists cut to `MAX_ITEMS`, integers beyond 64 bits as floats, so that the library takes what came."""
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item) for item in value[:MAX_ITEMS]]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value
