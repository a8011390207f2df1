"""Seasons: days that an operator names. A board's are periods of it, a rule set's windows of its limits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from kit.errors import FieldError

SEASON: Final = "season"
SEASONS_MOST = 200
SEASON_KEY = r"^[a-z0-9][a-z0-9-]{0,9}$"

BEFORE_ALL = "before the first"


@dataclass(frozen=True, slots=True)
class Season:
    """Days that an operator made a period, both inclusive; `key` names it."""

    key: str
    first_day: date
    last_day: date


def season_on(seasons: Sequence[Season], day: date) -> Season | None:
    return next((one for one in seasons if one.first_day <= day <= one.last_day), None)


def window_on(seasons: Sequence[Season], day: date) -> str:
    """The key of the window of limits that the day lies in: its season's; where it lies in none, `after 2026-s4` or
    BEFORE_ALL, which no season is called."""
    season = season_on(seasons, day)
    if season is not None:
        return season.key
    # No day is without a window: who forgets to name the next season must not lift every limit by it.
    past = max((one for one in seasons if one.last_day < day), key=lambda one: one.last_day, default=None)
    return BEFORE_ALL if past is None else after(past)


def after(season: Season) -> str:
    """The key of the window of limits between this season and the next, or for ever where there is none."""
    return f"after {season.key}"


def is_between(window: str) -> bool:
    """Whether the window is that of days in no season: the key of one has no spaces."""
    return " " in window


def season_problems(seasons: Sequence[Season], at: str) -> list[FieldError]:
    """Everything wrong with the seasons of a rule set, which stand at this pointer."""
    if len(seasons) > SEASONS_MOST:
        return [FieldError(at, "too_many", f"at most {SEASONS_MOST} seasons")]
    out = []
    for i, one in enumerate(seasons):
        if not re.fullmatch(SEASON_KEY, one.key):
            out.append(FieldError(f"{at}/{i}/key", "season_key_invalid", "1 to 10 of a-z, 0-9 and '-': 2026-s4"))
        if one.last_day < one.first_day:
            wrong = f"before its first_day {one.first_day}; a season ends on the day it begins or later"
            out.append(FieldError(f"{at}/{i}/last_day", "season_ends_early", wrong))
        for other in seasons[:i]:
            days = f"the season {other.key!r} goes from {other.first_day} to {other.last_day}"
            if other.key == one.key:
                out.append(FieldError(f"{at}/{i}/key", "season_twice", f"{days}; give this one another key"))
            elif one.first_day <= other.last_day and other.first_day <= one.last_day:
                out.append(FieldError(f"{at}/{i}", "season_taken", f"{days}; seasons do not overlap"))
    return out
