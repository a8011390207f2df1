"""What a rule set is. A published set is an immutable version; the version that decided is kept with each decision."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from kit.errors import FieldError
from services.rewards.domain.ledger import MOST

ACTOR, SUBJECT_AUTHOR = "actor", "subject_author"
RECEIVERS = (ACTOR, SUBJECT_AUTHOR)

MEMBER, OBJECT, ACTOR_OBJECT, PAIR, COMMUNITY = "member", "object", "actor_object", "pair", "community"
CAP_SCOPES = (MEMBER, OBJECT, ACTOR_OBJECT, PAIR, COMMUNITY)
WINDOWS = ("day", "week", "month", "lifetime", "rolling")

MAX_RULES = 500
MAX_EXPRESSION = 2000
MAX_WINDOW_SECONDS = 400 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomAmount:
    """A whole number from `min` to `max`, both possible, the same for the same event for ever (R16)."""

    min: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """Who gets how much of which unit: one of `amount`, `cel` (an expression that gives an int), `random`."""

    to: str
    unit: str
    amount: int | None = None
    cel: str | None = None
    random: RandomAmount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most `limit` per window and scope (R12), of the `amount` given or of the number of `grants`.

    Scopes: `member` the receiver; `object` the receiver and the event's subject; `actor_object` actor and subject;
    `pair` actor and receiver; `community` everybody together (a budget). A cap whose subject or actor is not known
    does not apply. What is over is cut off (`truncate`) or the whole grant is left out (`skip`, R13).
    """

    scope: str = MEMBER
    per: str = "day"
    limit: int
    of: str = "amount"
    seconds: int | None = None
    on_exceed: str = "truncate"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCap:
    """At most `limit` of a unit per receiver and window, over all rules together."""

    unit: str
    per: str = "day"
    limit: int
    seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`on` names event types; `when` is a condition; `lateness_hours` how late an event may arrive (history: any)."""

    id: str
    on: tuple[str, ...]
    give: tuple[Give, ...]
    name: str = ""
    when: str | None = None
    caps: tuple[Cap, ...] = ()
    cooldown_seconds: int = 0
    lateness_hours: int = 48
    notify: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    rules: tuple[Rule, ...] = ()
    unit_caps: tuple[UnitCap, ...] = field(default=())

    def by_type(self) -> dict[str, list[Rule]]:
        """Enabled rules by the event type they listen to."""
        out: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.enabled:
                for name in rule.on:
                    out.setdefault(name, []).append(rule)
        return out


def problems(rules: RuleSet, units: Iterable[str]) -> list[FieldError]:
    """Everything wrong with a rule set but for its expressions; pointers into it as JSON."""
    known = set(units)
    out = []
    seen: set[str] = set()
    for i, rule in enumerate(rules.rules):
        at = f"/rules/{i}"
        if rule.id in seen:
            out.append(FieldError(f"{at}/id", "rule_id_twice", f"two rules are called {rule.id}"))
        seen.add(rule.id)
        if not rule.on:
            out.append(FieldError(f"{at}/on", "missing", "name at least one event type"))
        if not rule.give:
            out.append(FieldError(f"{at}/give", "missing", "say who gets what"))
        for j, give in enumerate(rule.give):
            out += _give_problems(give, f"{at}/give/{j}", known)
        for j, cap in enumerate(rule.caps):
            out += _window_problems(cap.per, cap.seconds, f"{at}/caps/{j}")
    for j, unit_cap in enumerate(rules.unit_caps):
        out += _window_problems(unit_cap.per, unit_cap.seconds, f"/unit_caps/{j}")
        if unit_cap.unit not in known:
            out.append(_unknown_unit(unit_cap.unit, f"/unit_caps/{j}/unit", known))
    return out


def _give_problems(give: Give, at: str, known: set[str]) -> list[FieldError]:
    out = []
    if give.unit not in known:
        out.append(_unknown_unit(give.unit, f"{at}/unit", known))
    given = [give.amount is not None, give.cel is not None, give.random is not None]
    if sum(given) != 1:
        out.append(FieldError(at, "amount_ambiguous", "give one of amount, cel, random"))
    if give.amount is not None and (give.amount == 0 or abs(give.amount) > MOST):
        out.append(FieldError(f"{at}/amount", "amount_invalid", "a whole number other than 0 that fits 62 bits"))
    if give.random is not None and not 0 < give.random.min <= give.random.max <= MOST:
        out.append(FieldError(f"{at}/random", "amount_invalid", "needs 0 < min <= max"))
    return out


def _window_problems(per: str, seconds: int | None, at: str) -> list[FieldError]:
    if (per == "rolling") != (seconds is not None):
        return [FieldError(f"{at}/seconds", "window_invalid", "`seconds` belongs to per=rolling, and only there")]
    if seconds is not None and not 0 < seconds <= MAX_WINDOW_SECONDS:
        return [FieldError(f"{at}/seconds", "window_invalid", f"1 to {MAX_WINDOW_SECONDS}")]
    return []


def _unknown_unit(unit: str, at: str, known: set[str]) -> FieldError:
    return FieldError(at, "unit_unknown", f"no unit {unit!r} here; there are {', '.join(sorted(known))}")


def grant_key(rule_id: str, event_id: UUID, member_id: UUID, unit: str) -> bytes:
    """The idempotency key of a grant (R1), without the rule's version: a new version cannot pay an event again."""
    parts = (rule_id, event_id.hex, member_id.hex, unit)
    return hashlib.sha256("\n".join(parts).encode()).digest()


def draw(secret: bytes, event_id: UUID, rule_id: str, member_id: UUID, unit: str, low: int, high: int) -> int:
    """A number from `low` to `high` that only the secret and the event decide; unbiased (rejection sampling)."""
    span = high - low + 1
    limit = (2**64 // span) * span
    counter = 0
    while True:
        message = f"{event_id.hex}\n{rule_id}\n{member_id.hex}\n{unit}\n{counter}".encode()
        value = int.from_bytes(hmac.digest(secret, message, "sha256")[:8], "big")
        if value < limit:
            return low + value % span
        counter += 1
