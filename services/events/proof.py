"""What the door sees in a check-in and nobody behind it does (R32): a code word in what was written, a position. Pure.

Behind the door stands `proved`: by series, the days whose word was said, and whether it was within the place. `code`
and `position` go no further.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Any
from uuid import UUID

from kit.code_words import Language, code_word, code_words_in
from kit.days import local_day
from services.events.texts.reading import PROVED, TEXT

CODE, POSITION = "code", "position"
EARTH_METRES = 6_371_000
DAYS = tuple(timedelta(days=n) for n in (-2, -1, 0, 1))
"""Nobody's day, whatever their zone and when it begins, is another one than these from that of UTC."""


@dataclass(frozen=True, slots=True)
class Place:
    latitude: float
    longitude: float
    radius_m: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a series asks for in activities of the `types`."""

    series_id: str
    types: tuple[str, ...]
    code_word: Language | None
    place: Place | None


def proved(
    data: Mapping[str, Any], at: datetime, asked: Sequence[Asked], community_id: UUID, secret_key: str
) -> dict[str, dict[str, Any]]:
    """What `event.data`, as it was sent, shows of what these series ask for; those of which it shows nothing are left
    out. `at` is when it counts."""
    said = [text for name in (TEXT, CODE) if isinstance(text := data.get(name), str)]
    words = code_words_in("\n".join(said)) if any(one.code_word is not None for one in asked) else frozenset()
    position = position_of(data.get(POSITION))
    out: dict[str, dict[str, Any]] = {}
    for one in asked:
        shown: dict[str, Any] = {}
        if one.code_word is not None and words:
            days = [local_day(at, "UTC", 0) + step for step in DAYS]
            shown["days"] = [day.isoformat() for day in days if _is_word(one, words, day, community_id, secret_key)]
        if one.place is not None and position is not None:
            shown["inside"] = metres(position, (one.place.latitude, one.place.longitude)) <= one.place.radius_m
        if shown.get("days") or "inside" in shown:
            out[one.series_id] = shown
    return out


def without_secrets(data: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The data as it goes on."""
    kept = {name: value for name, value in data.items() if name not in (CODE, POSITION)}
    return {**kept, PROVED: found} if found else kept


def _is_word(one: Asked, words: frozenset[str], day: date, community_id: UUID, secret_key: str) -> bool:
    assert one.code_word is not None
    return code_word(secret_key, community_id, one.series_id, day, one.code_word) in words


def position_of(said: Any) -> tuple[float, float] | None:
    """Degrees of latitude and longitude; None for what is none."""
    if not isinstance(said, Mapping):
        return None
    latitude: Any = said.get("latitude")
    longitude: Any = said.get("longitude")
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in (latitude, longitude)):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two positions, over a round earth: half a per cent off at most."""
    (lat1, lon1), (lat2, lon2) = ((radians(a), radians(b)) for a, b in (one, other))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_METRES * asin(sqrt(min(1.0, half)))
