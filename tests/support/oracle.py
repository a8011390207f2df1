"""What the starter rules are worth, worked out a second time in plain Python: no code of the product, no floats.

It reads activities as they were posted as history (so `effective_at` is the event's own time and nothing is late) and
answers with balances, levels, boards and totals per rule. Written from the published rules, to be checked by reading.

Where the answer depends on the order of events, the order given is taken: which of two reactions of one person to one
object counts. Sums under amount caps do not depend on it, because a cap pays the remainder.
A wall clock put back across the start of a day is not treated specially here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ACTOR, AUTHOR = "actor", "author"


@dataclass(frozen=True)
class Rule:
    """`amount` of points and of xp to `to`. `per_day`, `per_month`: most a member gets from this rule in one.
    `once`: "day" (one grant a member and local day), "member", "object", "pair" (actor and object), for life. With
    `contributes` it gives as much contribution."""

    name: str
    on: str
    to: str
    amount: int
    per_day: int | None = None
    per_month: int | None = None
    once: str | None = None
    contributes: bool = False


RULES = (
    Rule("check-in", "checkin.submitted", ACTOR, 10, once="day"),
    Rule("message", "message.created", ACTOR, 1, per_day=10),
    Rule("reaction-received", "reaction.added", AUTHOR, 2, per_day=20, once="pair"),
    Rule("question", "question.asked", ACTOR, 5, per_day=15),
    Rule("answer", "answer.posted", ACTOR, 8, per_day=40, contributes=True),
    Rule("accepted-answer", "answer.accepted", AUTHOR, 30, once="object", contributes=True),
    Rule("invite-qualified", "invite.qualified", ACTOR, 20, per_month=200, contributes=True),
    Rule("event-attended", "event.attended", ACTOR, 15, per_day=30, contributes=True),
    Rule("content-accepted", "content.accepted", AUTHOR, 25, once="object", contributes=True),
    Rule("onboarding-finished", "onboarding.finished", ACTOR, 20, once="member"),
)

Period = tuple[str, str]
"""("all", "all"), ("month", "2026-11"), ("week", "2026-W48") or ("day", "2026-11-23")."""


@dataclass
class Answer:
    """`balances` are those of points and of xp alike (the starter rules give the same of both); `contribution` those of
    that unit, which came in `contributions` grants."""

    events: int = 0
    grants: int = 0
    balances: Counter[str] = field(default_factory=Counter)
    contribution: Counter[str] = field(default_factory=Counter)
    contributions: int = 0
    per_rule: Counter[str] = field(default_factory=Counter)
    scores: dict[Period, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def total(self) -> int:
        return sum(self.balances.values())

    def level(self, member: str) -> int:
        """The highest n whose beginning, 50·n·(n−1), the member's xp has reached."""
        n = 1
        while 50 * (n + 1) * n <= self.balances[member]:
            n += 1
        return n

    def board(self, kind: str, key: str) -> dict[str, tuple[int, int]]:
        """Member → (rank, score); as in a competition, those who tie share the better rank: 1, 2, 2, 4."""
        scores = self.scores.get((kind, key), Counter())
        best = sorted(scores.values(), reverse=True)
        return {member: (best.index(score) + 1, score) for member, score in scores.items()}


def periods(day: date) -> tuple[Period, ...]:
    year, week, _ = day.isocalendar()
    return ("all", "all"), ("month", f"{day:%Y-%m}"), ("week", f"{year}-W{week:02d}"), ("day", day.isoformat())


def local_day(time: str, zone: str, day_start: int) -> date:
    """The community's day of an RFC 3339 time: what the wall clock of `zone` shows, less `day_start` minutes."""
    wall = datetime.fromisoformat(time).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return (wall - timedelta(minutes=day_start)).date()


def score(activities: Iterable[Mapping[str, Any]], zone: str = "UTC", day_start: int = 0) -> Answer:
    """Run the starter rules over CloudEvents in the order given; a (source, id) seen before is nothing."""
    answer = Answer()
    seen: set[tuple[str, str]] = set()
    used: Counter[tuple[Any, ...]] = Counter()
    for event in activities:
        if (event["source"], event["id"]) in seen:
            continue
        seen.add((event["source"], event["id"]))
        day = local_day(event["time"], zone, day_start)
        for rule in RULES:
            member = beneficiary(rule, event)
            if member is None:
                continue
            paid = pay(rule, member, event, day, used)
            if paid > 0:
                answer.grants += 1
                answer.balances[member] += paid
                answer.per_rule[rule.name] += paid
                if rule.contributes:
                    answer.contributions += 1
                    answer.contribution[member] += paid
                for period in periods(day):
                    answer.scores[period][member] += paid
    answer.events = len(seen)
    return answer


def beneficiary(rule: Rule, event: Mapping[str, Any]) -> str | None:
    """Who earns by this rule, or None. Bots earn nothing, neither does anybody for what is their own."""
    data = event.get("data") or {}
    if event["type"] != rule.on or data.get("bot") is True:
        return None
    if rule.on == "reaction.added" and data.get("kind") == "downvote":
        return None
    if rule.to == AUTHOR and data.get("author") == data.get("actor"):
        return None
    return data.get(rule.to)


def pay(rule: Rule, member: str, event: Mapping[str, Any], day: date, used: Counter[tuple[Any, ...]]) -> int:
    """The amount after the caps, which remember in `used` what was paid; a grant of nothing uses no cap up."""
    actor, subject = (event.get("data") or {}).get("actor"), event.get("subject")
    once = {
        None: None,
        "day": (member, day),
        "member": (member,),
        "object": (subject,) if subject else None,
        "pair": (actor, subject) if actor and subject else None,
    }[rule.once]
    if once is not None and used[rule.name, "once", *once]:
        return 0
    paid = rule.amount
    month = f"{day:%Y-%m}"
    if rule.per_day is not None:
        paid = min(paid, rule.per_day - used[rule.name, "day", member, day])
    if rule.per_month is not None:
        paid = min(paid, rule.per_month - used[rule.name, "month", member, month])
    if paid > 0:
        used[rule.name, "day", member, day] += paid
        used[rule.name, "month", member, month] += paid
        if once is not None:
            used[rule.name, "once", *once] = 1
    return paid
