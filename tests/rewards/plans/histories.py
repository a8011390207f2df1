"""Histories and rule sets for the property tests of plans."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from kit.contracts.events import Activity
from tests.rewards.guild import MORNING, Guild

PEOPLE = ("ann", "bob", "cy")
AUTHORS = {"m0": "ann", "m1": "bob", "m2": "cy"}
GROUPS = {"m0": "qq:100", "m1": "qq:100", "m2": "qq:200"}
UNITS = ("xp", "points")
SIGNALS = (
    "actor.age_days", "actor.active_days", "counts.day", "counts.week", "counts.month", "counts.ever",
    "signals.minute", "signals.hour",
    "signals.mutual", "signals.share", "signals.ring", "signals.received", "signals.received_days",
    "signals.similar", "signals.copied",
)  # fmt: skip


LOOKED_AT = (*SIGNALS, "streak.current", "streak.longest", "streak.days")


def season(key: str, first_day: str, last_day: str) -> dict[str, str]:
    return {"key": key, "first_day": f"2026-11-{first_day}", "last_day": f"2026-11-{last_day}"}


SEASONS = (
    [season("one", "20", "23"), season("two", "25", "26")],
    [season("two", "24", "25"), season("one", "26", "30")],
    [season("one", "23", "30")],
)
"""Other ones by the same names: with days before, between and after them."""


@dataclass(frozen=True)
class Step:
    """What happens some minutes after the beginning; `late` minutes later it arrives."""

    what: str
    subject: str
    by: str
    kind: str
    minutes: int
    late: int


steps = st.builds(
    Step,
    what=st.sampled_from(["post", "post", "react", "react", "unreact", "delete", "check in", "check in", "void"]),
    subject=st.sampled_from(sorted(AUTHORS)),
    by=st.sampled_from(PEOPLE),
    kind=st.sampled_from(["heart", "star"]),
    minutes=st.integers(0, 4 * 1440).map(lambda n: n // 7 * 7),
    late=st.sampled_from([0, 0, 0, 60, 3000]),
)


def act(guild: Guild, step: Step) -> Activity:
    return replace(_act(guild, step), group=GROUPS[step.subject])


def _act(guild: Guild, step: Step) -> Activity:
    at, late = MORNING + timedelta(minutes=step.minutes), timedelta(minutes=step.late)
    author = AUTHORS[step.subject]
    if step.what == "post":
        like = {"similarity": f"{int(step.subject[1]) % 2 * 0xFFFFFFFFFFFFFFFF ^ 7:016x}"}
        return guild.act("message.created", author, at, subject=step.subject, late=late, data=like)
    if step.what == "react":
        data = {"kind": step.kind}
        return guild.act("reaction.added", step.by, at, subject=step.subject, of=author, late=late, data=data)
    if step.what == "unreact":
        return guild.act("reaction.removed", step.by, at, subject=step.subject, late=late, data={"kind": step.kind})
    if step.what == "check in":
        return guild.act("checkin.submitted", step.by, at, subject=step.subject, late=late)
    if step.what == "void":
        return guild.act("checkin.voided", step.by, at, subject=step.subject, late=late)
    return guild.act("message.deleted", "mod", at, subject=step.subject, late=late)


_MIXES: tuple[dict[str, Any], ...] = (
    {},
    {"curve": "lowest_of_two", "effort": {"amount": 5}},
    {"effort": {"cel": "counts.day + streak.current", "share": 70}},
)


def _give(to: str) -> st.SearchStrategy[dict[str, Any]]:
    # What is drawn is drawn for a receiver, and the same group is another one in another community.
    drawn = [{"random": {"min": 1, "max": 6, **more}} for more in _MIXES] if to != "group" else []
    amount = st.one_of(
        st.integers(-2, 9).filter(bool).map(lambda n: {"amount": n}),
        st.sampled_from([*drawn, {"cel": "1 + 2 * streak.current"}]),
        st.sampled_from(SIGNALS).map(lambda name: {"cel": f"1 + {name}"}),
    )
    return st.builds(lambda unit, how: {"to": to, "unit": unit, **how}, st.sampled_from(UNITS), amount)


_caps = st.builds(
    lambda scope, per, limit, of, exceed, refill: {
        "scope": scope, "per": per, "limit": limit, "of": of, "on_exceed": exceed,
        **({"seconds": 7200} if per == "rolling" else {}),
        **({"refill": True} if refill and of == "grants" and per != "rolling" else {}),
    },
    st.sampled_from(["member", "object", "actor_object", "pair", "community"]),
    st.sampled_from(["day", "week", "season", "lifetime", "rolling"]),
    st.integers(1, 12),
    st.sampled_from(["amount", "grants"]),
    st.sampled_from(["truncate", "skip"]),
    st.booleans(),
)  # fmt: skip


def _rule(id: str, on: str, to: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda give, caps, cooldown, life, undone, when: {
            "id": id, "on": [on], "give": [give], "caps": caps, "cooldown_seconds": cooldown, "when": when,
            "min_content_lifetime_seconds": life, **({} if undone is None else {"undone_by": undone}),
        },
        _give(to),
        st.lists(_caps, max_size=2),
        st.sampled_from([0, 0, 3600]),
        st.sampled_from([0, 0, 7200]),
        st.sampled_from([None, None, []]),
        st.one_of(st.none(), st.builds(lambda name, n: f"{name} < {n}", st.sampled_from(LOOKED_AT), st.integers(1, 4))),
    )  # fmt: skip


@st.composite
def rule_sets(draw: st.DrawFn) -> dict[str, Any]:
    """Some of a few rules, each in some form."""
    kinds = (
        ("post", "message.created", "actor"),
        ("liked", "reaction.added", "subject_author"),
        ("likes", "reaction.added", "actor"),
        ("daily", "checkin.submitted", "actor"),
        ("derby", "message.created", "group"),
    )
    chosen = draw(st.lists(st.sampled_from(kinds), unique=True, min_size=1))
    cap = st.fixed_dictionaries({
        "unit": st.sampled_from(UNITS), "limit": st.integers(1, 20), "scope": st.sampled_from(["member", "community"]),
        "per": st.sampled_from(["day", "season"]), "on_exceed": st.sampled_from(["truncate", "skip"]),
    })  # fmt: skip
    caps = draw(st.lists(cap, max_size=1))
    seasons = draw(st.sampled_from(SEASONS))
    return {"rules": [draw(_rule(*kind)) for kind in chosen], "unit_caps": caps, "seasons": seasons}
