"""What a rule set is. A published set is an immutable version; the version that decided is kept with each decision."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from kit.errors import FieldError
from services.rewards.domain.amounts import RandomAmount, random_problems
from services.rewards.domain.ledger import BOOKKEEPING, FOLLOWS, FREEZES, MOST
from services.rewards.domain.seasons import SEASON, Season, season_problems

# The closed choices are types, so that reading a rule set from JSON refuses every other word and its JSON Schema
# lists them.
Receiver = Literal["actor", "subject_author", "inviter", "group"]
Scope = Literal["member", "object", "actor_object", "pair", "community"]
UnitScope = Literal["member", "community"]
Window = Literal["day", "week", "month", "season", "lifetime", "rolling"]
Measure = Literal["amount", "grants"]
Exceeding = Literal["truncate", "skip"]

ACTOR: Final = "actor"
INVITER: Final = "inviter"
GROUP: Final = "group"
MEMBER: Final = "member"
OBJECT: Final = "object"
ACTOR_OBJECT: Final = "actor_object"
PAIR: Final = "pair"
COMMUNITY: Final = "community"

MAX_RULES = 500
MAX_TYPES = 50
MAX_GIVES = 10
MAX_CAPS = 20
MAX_NAME = 100
MAX_TYPE = 200
MAX_EXPRESSION = 2000
MAX_WINDOW_SECONDS = 400 * 86400
MAX_LATENESS_HOURS = 24 * 400

_SEASONS_HINT = '"seasons": [{"key": "2026-s4", "first_day": "2026-10-01", "last_day": "2026-12-31"}]'

SEGMENTS_MOST = 50
SEGMENT_ID = r"^[a-z0-9][a-z0-9-]{0,59}$"

_RULE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """Who gets how much of which unit: one of `amount`, `cel` (an expression that gives an int), `random`. To the
    `group` is to the account of the chat group that the event happened in. `multiplied`: by what the receiver's level
    brings (`domain.levels.Perks`), where that is above 0 and before any cap."""

    to: Receiver
    unit: str
    amount: int | None = None
    cel: str | None = None
    random: RandomAmount | None = None
    multiplied: bool = False

    def computed(self) -> list[tuple[str, str]]:
        """(where in it, source) of the expressions that should give an int."""
        effort = self.random.effort if self.random is not None else None
        there = ("cel", self.cel), ("random/effort/cel", effort.cel if effort is not None else None)
        return [(where, source) for where, source in there if source is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most `limit` per window and scope (R12), of the `amount` given or of the number of `grants`.

    Scopes: `member` the receiver; `object` the receiver and the event's subject; `actor_object` actor and subject;
    `pair` actor and receiver; `community` everybody together (a budget). A cap whose subject or actor is not known
    does not apply. What is over is cut off (`truncate`) or the whole grant is left out (`skip`, R13). With `refill`
    a grant that is undone by an inverse event gives its place back, to what was cut for want of it or to what comes
    (R8); for caps of `grants` only.
    """

    scope: Scope = MEMBER
    per: Window = "day"
    limit: int
    of: Measure = "amount"
    seconds: int | None = None
    on_exceed: Exceeding = "truncate"
    refill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCap:
    """At most `limit` of a unit per window, over all rules together: for each receiver, or (`community`) for everybody
    together, which is a budget. What is over is cut off or the whole grant left out, as by a cap of a rule (R13)."""

    unit: str
    scope: UnitScope = MEMBER
    per: Window = "day"
    limit: int
    seconds: int | None = None
    on_exceed: Exceeding = "truncate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`on` names event types; `when` is a condition; `lateness_hours` how late an event may arrive (history: any).

    `undone_by` names the inverse events that take back what the rule gave; None: those of `domain.undoing.UNDONE_BY`.
    What it gives while `review_when` holds waits until somebody has looked at it (R19).
    What is recalled or deleted within `min_content_lifetime_seconds` leaves nothing, whatever `undone_by` says (R9).
    """

    id: str
    on: tuple[str, ...]
    give: tuple[Give, ...]
    name: str = ""
    when: str | None = None
    review_when: str | None = None
    caps: tuple[Cap, ...] = ()
    cooldown_seconds: int = 0
    lateness_hours: int = 48
    undone_by: tuple[str, ...] | None = None
    min_content_lifetime_seconds: int = 0
    notify: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Who is in one of the `excluded_segments` earns nothing, whatever the rules say (R18).

    `seasons` are the windows of limits per season, by the days of the community; they do not overlap.
    """

    rules: tuple[Rule, ...] = ()
    unit_caps: tuple[UnitCap, ...] = field(default=())
    excluded_segments: tuple[str, ...] = ()
    seasons: tuple[Season, ...] = ()

    def by_type(self) -> dict[str, list[Rule]]:
        """Enabled rules by the event type they listen to."""
        out: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.enabled:
                for name in rule.on:
                    out.setdefault(name, []).append(rule)
        return out


def problems(rules: RuleSet, units: Iterable[str]) -> list[FieldError]:
    """Everything wrong with a rule set but for what its expressions say; pointers into it as JSON."""
    known = set(units)
    out = []
    if len(rules.rules) > MAX_RULES:
        out.append(FieldError("/rules", "too_many", f"at most {MAX_RULES} rules"))
    seen: set[str] = set()
    for i, rule in enumerate(rules.rules):
        at = f"/rules/{i}"
        if rule.id in seen:
            out.append(FieldError(f"{at}/id", "rule_id_twice", f"two rules are called {rule.id}"))
        seen.add(rule.id)
        out += _rule_problems(rule, at)
        for j, give in enumerate(rule.give):
            out += _give_problems(give, f"{at}/give/{j}", known)
        for j, cap in enumerate(rule.caps):
            out += _cap_problems(cap, rules, f"{at}/caps/{j}")
            if cap.refill and (cap.of != "grants" or cap.per == "rolling"):
                wrong = "`refill` belongs to of=grants, and not to per=rolling"
                out.append(FieldError(f"{at}/caps/{j}/refill", "refill_invalid", wrong))
    for j, unit_cap in enumerate(rules.unit_caps):
        out += _cap_problems(unit_cap, rules, f"/unit_caps/{j}")
        if unit_cap.unit not in known:
            out.append(_unknown_unit(unit_cap.unit, f"/unit_caps/{j}/unit", known))
    return out + _segment_problems(rules.excluded_segments) + season_problems(rules.seasons, "/seasons")


def _segment_problems(segments: Sequence[str]) -> list[FieldError]:
    at = "/excluded_segments"
    if len(segments) > SEGMENTS_MOST:
        return [FieldError(at, "too_many", f"at most {SEGMENTS_MOST}")]
    wrong = [n for n, name in enumerate(segments) if not re.fullmatch(SEGMENT_ID, name)]
    return [
        FieldError(f"{at}/{n}", "segment_invalid", "1 to 60 of a-z, 0-9 and '-', as in GET /v1/segments") for n in wrong
    ]


def _rule_problems(rule: Rule, at: str) -> list[FieldError]:
    out = []
    if not _RULE_ID.fullmatch(rule.id):
        out.append(FieldError(f"{at}/id", "rule_id_invalid", "1 to 100 of a-z, 0-9, '.', '_', '-'"))
    lists = ("on", rule.on, MAX_TYPES), ("give", rule.give, MAX_GIVES), ("caps", rule.caps, MAX_CAPS)
    for what, items, most in lists:
        if len(items) > most:
            out.append(FieldError(f"{at}/{what}", "too_many", f"at most {most}"))
    if not rule.on:
        out.append(FieldError(f"{at}/on", "missing", "name at least one event type"))
    for i, name in enumerate(rule.on):
        out += _text_problems(name, MAX_TYPE, f"{at}/on/{i}")
    if len(set(rule.on)) < len(rule.on):
        out.append(FieldError(f"{at}/on", "type_twice", "a type is named twice; the rule would run twice"))
    if not rule.give:
        out.append(FieldError(f"{at}/give", "missing", "say who gets what"))
    targets = [(give.to, give.unit) for give in rule.give]
    if len(set(targets)) < len(targets):
        out.append(FieldError(f"{at}/give", "give_twice", "one amount for each receiver and unit"))
    texts = ("name", rule.name, MAX_NAME), ("when", rule.when, MAX_EXPRESSION)
    for what, text, most in (*texts, ("review_when", rule.review_when, MAX_EXPRESSION)):
        out += _text_problems(text or "", most, f"{at}/{what}")
    if not 0 <= rule.cooldown_seconds <= MAX_WINDOW_SECONDS:
        out.append(FieldError(f"{at}/cooldown_seconds", "out_of_range", f"0 to {MAX_WINDOW_SECONDS}"))
    if not 0 <= rule.lateness_hours <= MAX_LATENESS_HOURS:
        out.append(FieldError(f"{at}/lateness_hours", "out_of_range", f"0 to {MAX_LATENESS_HOURS}"))
    return out + _undoing_problems(rule, at)


def _undoing_problems(rule: Rule, at: str) -> list[FieldError]:
    out = []
    types = rule.undone_by or ()
    if len(types) > MAX_TYPES:
        out.append(FieldError(f"{at}/undone_by", "too_many", f"at most {MAX_TYPES}"))
    for i, name in enumerate(types):
        out += _text_problems(name, MAX_TYPE, f"{at}/undone_by/{i}")
        if name in rule.on:
            out.append(FieldError(f"{at}/undone_by/{i}", "undoes_itself", "a type cannot both pay and take back"))
    if len(set(types)) < len(types):
        out.append(FieldError(f"{at}/undone_by", "type_twice", "a type is named twice"))
    if not 0 <= rule.min_content_lifetime_seconds <= MAX_WINDOW_SECONDS:
        pointer = f"{at}/min_content_lifetime_seconds"
        out.append(FieldError(pointer, "out_of_range", f"0 to {MAX_WINDOW_SECONDS}"))
    return out


def _text_problems(text: str, most: int, at: str) -> list[FieldError]:
    if len(text) > most:
        return [FieldError(at, "too_long", f"at most {most} characters")]
    if any(ord(c) < 32 and c not in "\n\t" for c in text):
        return [FieldError(at, "text_invalid", "control characters are not allowed")]
    return []


def _give_problems(give: Give, at: str, known: set[str]) -> list[FieldError]:
    out = []
    if give.unit == FREEZES.id:
        out.append(FieldError(f"{at}/unit", "unit_follows", FOLLOWS))
    elif give.unit in BOOKKEEPING:
        wrong = (
            f"{give.unit} is for bookkeeping only: what was paid is posted by hand, with a reason (POST /v1/entries)"
        )
        out.append(FieldError(f"{at}/unit", "unit_bookkeeping", wrong))
    elif give.unit not in known:
        out.append(_unknown_unit(give.unit, f"{at}/unit", known - BOOKKEEPING - {FREEZES.id}))
    given = [give.amount is not None, give.cel is not None, give.random is not None]
    if sum(given) != 1:
        out.append(FieldError(at, "amount_ambiguous", "give one of amount, cel, random"))
    if give.amount is not None and (give.amount == 0 or abs(give.amount) > MOST):
        out.append(FieldError(f"{at}/amount", "amount_invalid", "a whole number other than 0 that fits 62 bits"))
    if give.multiplied and give.to == GROUP:
        out.append(FieldError(f"{at}/multiplied", "multiplied_invalid", "a group has no level; give it as it is"))
    if give.multiplied and give.amount is not None and give.amount < 0:
        out.append(
            FieldError(f"{at}/multiplied", "multiplied_invalid", "what is taken is not multiplied; leave it out")
        )
    if give.random is not None:
        out += random_problems(give.random, f"{at}/random")
    for where, source in give.computed():
        out += _text_problems(source, MAX_EXPRESSION, f"{at}/{where}")
    return out


def _cap_problems(cap: Cap | UnitCap, rules: RuleSet, at: str) -> list[FieldError]:
    out = []
    if not 0 <= cap.limit <= MOST:
        out.append(FieldError(f"{at}/limit", "out_of_range", "0 (nothing at all) or more, in 62 bits"))
    if (cap.per == "rolling") != (cap.seconds is not None):
        out.append(FieldError(f"{at}/seconds", "window_invalid", "`seconds` belongs to per=rolling, and only there"))
    elif cap.seconds is not None and not 0 < cap.seconds <= MAX_WINDOW_SECONDS:
        out.append(FieldError(f"{at}/seconds", "window_invalid", f"1 to {MAX_WINDOW_SECONDS}"))
    if cap.per == SEASON and not rules.seasons:
        out.append(FieldError(f"{at}/per", "seasons_missing", f"name them in the set: {_SEASONS_HINT}"))
    return out


def _unknown_unit(unit: str, at: str, known: set[str]) -> FieldError:
    return FieldError(at, "unit_unknown", f"no unit {unit!r} here; there are {', '.join(sorted(known))}")


def grant_key(rule_id: str, event_id: UUID, member_id: UUID, unit: str) -> bytes:
    """The idempotency key of a grant (R1), without the rule's version: a new version cannot pay an event again."""
    parts = (rule_id, event_id.hex, member_id.hex, unit)
    return hashlib.sha256("\n".join(parts).encode()).digest()
