"""Levels: thresholds by a formula or a table, and what a balance makes of them. Level 1 begins at 0."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Final, NamedTuple

from kit.errors import FieldError, Unprocessable

MOST_LEVELS = 1000
"""The highest level there can be: a single enormous grant announces no more than this many."""


@dataclass(frozen=True, slots=True)
class Level:
    """`threshold` is the balance at which the level begins."""

    level: int
    name: str
    threshold: int


@dataclass(frozen=True, slots=True)
class Formula:
    """Level n begins at `step`·n·(n−1)."""

    step: int

    def threshold(self, level: int) -> int:
        return self.step * level * (level - 1)

    def level_at(self, balance: int) -> int:
        # The largest n with n·(n−1) ≤ balance/step, in whole numbers: (2n−1)² ≤ 4·(balance/step) + 1.
        whole = max(balance, 0) // self.step
        return min((1 + isqrt(4 * whole + 1)) // 2, MOST_LEVELS)

    def name(self, level: int) -> str:
        return f"Level {level}"

    @property
    def highest(self) -> int:
        return MOST_LEVELS


@dataclass(frozen=True, slots=True)
class LevelTable:
    """Level n is the n-th row (threshold, name); the first begins at 0, the thresholds rise."""

    rows: tuple[tuple[int, str], ...]

    def threshold(self, level: int) -> int:
        return self.rows[level - 1][0]

    def level_at(self, balance: int) -> int:
        return max(1, sum(1 for threshold, _ in self.rows if threshold <= balance))

    def name(self, level: int) -> str:
        return self.rows[level - 1][1] or f"Level {level}"

    @property
    def highest(self) -> int:
        return len(self.rows)


Scheme = Formula | LevelTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Perks:
    """What a level brings: `roles` to be given in the chat, `shop` strings that open offers, `multiplier` of what is
    earned in basis points (15,000: half as much again); None: what there was before. Rules multiply where they say
    so; what is done with the others is the business of whoever asks: of bots and frontends."""

    roles: tuple[str, ...] = ()
    multiplier: int | None = None
    shop: tuple[str, ...] = ()


PerksByLevel = Mapping[int, Perks]
NO_PERKS = Perks()


def in_force(perks: PerksByLevel, level: int) -> Perks:
    """What somebody of this level has: roles and shop of all levels up to it, the multiplier of the highest that has
    one."""
    mine = [perks[number] for number in sorted(perks) if number <= level]
    multipliers = [one.multiplier for one in mine if one.multiplier is not None]
    return Perks(
        roles=tuple(dict.fromkeys(role for one in mine for role in one.roles)),
        multiplier=multipliers[-1] if multipliers else None,
        shop=tuple(dict.fromkeys(word for one in mine for word in one.shop)),
    )


WHOLE: Final = 10_000
"""Basis points that change nothing."""


class Footing(NamedTuple):
    """What somebody's earning goes by: a level (0: not known), and its multiplier in basis points."""

    level: int
    multiplier: int


NO_FOOTING = Footing(0, WHOLE)


def footing(scheme: Scheme, perks: PerksByLevel, balance: int) -> Footing:
    number = scheme.level_at(balance)
    return Footing(number, in_force(perks, number).multiplier or WHOLE)


DEFAULT_SCHEME = Formula(50)
DEFAULT_UNIT = "xp"


def level(scheme: Scheme, number: int) -> Level:
    return Level(number, scheme.name(number), scheme.threshold(number))


def next_level(scheme: Scheme, number: int) -> Level | None:
    """The level after this one, or None at the top."""
    return level(scheme, number + 1) if number < scheme.highest else None


def reached(scheme: Scheme, before: int, after: int) -> list[Level]:
    """The levels a balance passed on its way from `before` to `after`; level 1 is no news."""
    low, high = scheme.level_at(before), scheme.level_at(after)
    return [level(scheme, number) for number in range(max(low + 1, 2), high + 1)]


def written(scheme: Scheme) -> dict[str, Any]:
    """A scheme as JSON."""
    if isinstance(scheme, Formula):
        return {"kind": "formula", "step": scheme.step}
    return {"kind": "table", "levels": [{"threshold": t, "name": n} for t, n in scheme.rows]}


def read(data: Mapping[str, Any]) -> Scheme:
    """The scheme that `written` made this of."""
    if data["kind"] == "formula":
        return Formula(data["step"])
    return LevelTable(tuple((row["threshold"], row["name"]) for row in data["levels"]))


def written_perks(perks: PerksByLevel) -> list[dict[str, Any]]:
    """Perks as JSON, by rising level."""
    return [
        {"level": n, "roles": [*perks[n].roles], "multiplier": perks[n].multiplier, "shop": [*perks[n].shop]}
        for n in sorted(perks)
    ]


def read_perks(data: Iterable[Mapping[str, Any]] | None) -> dict[int, Perks]:
    """The perks that `written_perks` made this of; none of None."""
    return {
        row["level"]: Perks(roles=tuple(row["roles"]), multiplier=row["multiplier"], shop=tuple(row["shop"]))
        for row in data or ()
    }


def checked_perks(rows: Sequence[Mapping[str, Any]], scheme: Scheme) -> dict[int, Perks]:
    """The same of what somebody asks for; Unprocessable where a level is there twice or not at all."""
    errors, seen = [], set[int]()
    for position, row in enumerate(rows):
        pointer = f"/perks/{position}/level"
        if row["level"] in seen:
            errors.append(FieldError(pointer, "duplicate", "each level has its perks once"))
        if row["level"] > scheme.highest:
            errors.append(FieldError(pointer, "out_of_range", f"1 to {scheme.highest}"))
        seen.add(row["level"])
    if errors:
        raise Unprocessable("these levels do not work; see errors", code="levels_invalid", errors=errors)
    return read_perks(rows)


def checked(scheme: Scheme, most: int) -> Scheme:
    """The scheme, if it makes sense with balances up to `most`; Unprocessable says where it does not."""
    errors = []
    if isinstance(scheme, Formula):
        if not 0 < scheme.step <= most // (MOST_LEVELS * MOST_LEVELS):
            errors.append(FieldError("/scheme/step", "out_of_range", f"1 to {most // (MOST_LEVELS * MOST_LEVELS)}"))
    else:
        if not 0 < len(scheme.rows) <= MOST_LEVELS:
            errors.append(FieldError("/scheme/levels", "out_of_range", f"1 to {MOST_LEVELS} levels"))
        previous = -1
        for position, (threshold, _) in enumerate(scheme.rows):
            pointer = f"/scheme/levels/{position}/threshold"
            if position == 0 and threshold != 0:
                errors.append(FieldError(pointer, "first_not_zero", "the first level begins at 0"))
            if not previous < threshold <= most:
                errors.append(FieldError(pointer, "not_rising", "thresholds rise from level to level"))
            previous = threshold
    if errors:
        raise Unprocessable("these levels do not work; see errors", code="levels_invalid", errors=errors)
    return scheme
