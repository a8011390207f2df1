"""What a check-in must bring to be the day's (R32), as far as the activity itself shows it, and who says whether it is
enough. Pure.

Nothing here sees what somebody wrote or where they were: the door tells how long it was, of how many characters, which
days' code words were in it, and whether a position was within the place.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

Kind = Literal["text", "media", "numeric", "code_word", "location"]

TEXT: Final = "text"
MEDIA: Final = "media"
NUMERIC: Final = "numeric"
CODE_WORD: Final = "code_word"
LOCATION: Final = "location"

Missing = Literal[
    "text_too_short",
    "media_missing",
    "number_missing",
    "number_out_of_range",
    "code_word_missing",
    "location_missing",
    "location_outside",
]

ACCEPTED, PENDING, REFUSED = "accepted", "pending", "refused"
APPROVED, DECLINED, UNDONE = "approved", "declined", "undone"
State = Literal["refused", "pending", "approved", "declined", "undone"]
"""Of attempts: lacked something; waits; was let through, or was not; was undone while it waited."""

Approver = Literal["operator", "referee", "peers"]
REFEREE: Final = "referee"
PEERS: Final = "peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A check-in waits until somebody says that it counts: an operator always may; besides one of the `referees`, or so
    many `peers`, who are other members. After `within_hours` it is as if `then` had been said."""

    by: Approver
    referees: tuple[UUID, ...] = ()
    peers: int = 1
    within_hours: int = 72
    then: Literal["accept", "refuse"] = "accept"

    def may_confirm(self, member_id: UUID) -> bool:
        return self.by == PEERS or (self.by == REFEREE and member_id in self.referees)

    def enough(self, confirmed: Collection[UUID], whose: UUID) -> bool:
        """Whether these let a check-in of that member through."""
        others = [member_id for member_id in set(confirmed) if member_id != whose and self.may_confirm(member_id)]
        return len(others) >= (self.peers if self.by == PEERS else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One thing that a check-in must bring.

    `text`: at least `length` characters, `distinct` different ones. `media`: at least `images`. `numeric`: a number
    under `field` of `event.data`, from `least` to `most`, both possible. `code_word`: the series' word, in `language`,
    of the day that the check-in is for. `location`: a position within `radius_m` metres of a place, in degrees.
    """

    kind: Kind
    length: int = 1
    distinct: int = 1
    images: int = 1
    field: str = ""
    least: float | None = None
    most: float | None = None
    language: Literal["en", "zh"] = "en"
    latitude: float = 0.0
    longitude: float = 0.0
    radius_m: int = 0


class Brought(NamedTuple):
    """A check-in as far as proof goes: `event.data`, what the door saw of it for the series, and the day it is for."""

    data: Mapping[str, Any]
    proved: Mapping[str, Any]
    day: date


def brought(data: Mapping[str, Any], series_id: str, day: date) -> Brought:
    proved = data.get("proved")
    shown = proved.get(series_id) if isinstance(proved, Mapping) else None
    return Brought(data, shown if isinstance(shown, Mapping) else {}, day)


def missing(asked: Iterable[Proof], one: Brought) -> tuple[Missing, ...]:
    """What of it the check-in does not bring, in the order in which it is asked for."""
    return tuple([lack for proof in asked if (lack := _LOOK[proof.kind](proof, one)) is not None])


def _text(proof: Proof, one: Brought) -> Missing | None:
    data = one.data
    enough = _count(data.get("length")) >= proof.length and _count(data.get("distinct")) >= proof.distinct
    return None if enough else "text_too_short"


def _media(proof: Proof, one: Brought) -> Missing | None:
    # A chat says of a message that there was a picture, not how many.
    shown = max(_count(one.data.get("images")), int(one.data.get("has_media") is True))
    return None if shown >= proof.images else "media_missing"


def _numeric(proof: Proof, one: Brought) -> Missing | None:
    said = one.data.get(proof.field)
    if isinstance(said, bool) or not isinstance(said, int | float):
        return "number_missing"
    low = proof.least is None or said >= proof.least
    return None if low and (proof.most is None or said <= proof.most) else "number_out_of_range"


def _code_word(_: Proof, one: Brought) -> Missing | None:
    days = one.proved.get("days")
    return None if isinstance(days, list) and one.day.isoformat() in days else "code_word_missing"


def _location(_: Proof, one: Brought) -> Missing | None:
    inside = one.proved.get("inside")
    return None if inside is True else "location_outside" if inside is False else "location_missing"


_LOOK = {TEXT: _text, MEDIA: _media, NUMERIC: _numeric, CODE_WORD: _code_word, LOCATION: _location}


def _count(said: Any) -> int:
    return said if isinstance(said, int) and not isinstance(said, bool) else 0


def status_of(statuses: Iterable[str]) -> str:
    """What an activity is over all series that it is a check-in of: accepted where one of them accepts it,
    else pending where one may yet."""
    found = set(statuses)
    return next((status for status in (ACCEPTED, PENDING, REFUSED) if status in found), "")


def status_of_attempt(state: str) -> str:
    """What an activity is to a series that has it as an attempt in that state."""
    return {APPROVED: ACCEPTED, PENDING: PENDING}.get(state, REFUSED)
