"""What a check-in must bring to be the day's (R32), as far as the activity itself shows it. Pure.

Nothing here sees what somebody wrote: the door tells how long it was and of how many characters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "media", "numeric"]

TEXT: Final = "text"
MEDIA: Final = "media"
NUMERIC: Final = "numeric"

Missing = Literal["text_too_short", "media_missing", "number_missing", "number_out_of_range"]

ACCEPTED, REFUSED = "accepted", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One thing that a check-in must bring.

    `text`: at least `length` characters, `distinct` different ones. `media`: at least `images`. `numeric`: a number
    under `field` of `event.data`, from `least` to `most`, both possible.
    """

    kind: Kind
    length: int = 1
    distinct: int = 1
    images: int = 1
    field: str = ""
    least: float | None = None
    most: float | None = None


def missing(asked: Iterable[Proof], data: Mapping[str, Any]) -> tuple[Missing, ...]:
    """What of it `event.data` does not bring, in the order in which it is asked for."""
    return tuple([lack for proof in asked if (lack := _LOOK[proof.kind](proof, data)) is not None])


def _text(proof: Proof, data: Mapping[str, Any]) -> Missing | None:
    enough = _count(data.get("length")) >= proof.length and _count(data.get("distinct")) >= proof.distinct
    return None if enough else "text_too_short"


def _media(proof: Proof, data: Mapping[str, Any]) -> Missing | None:
    # A chat says of a message that there was a picture, not how many.
    shown = max(_count(data.get("images")), int(data.get("has_media") is True))
    return None if shown >= proof.images else "media_missing"


def _numeric(proof: Proof, data: Mapping[str, Any]) -> Missing | None:
    said = data.get(proof.field)
    if isinstance(said, bool) or not isinstance(said, int | float):
        return "number_missing"
    low = proof.least is None or said >= proof.least
    return None if low and (proof.most is None or said <= proof.most) else "number_out_of_range"


_LOOK = {TEXT: _text, MEDIA: _media, NUMERIC: _numeric}


def _count(said: Any) -> int:
    return said if isinstance(said, int) and not isinstance(said, bool) else 0


def status_of(statuses: Iterable[str]) -> str:
    """What an activity is over all series that it is a check-in of: accepted where one of them accepts it."""
    found = set(statuses)
    return next((status for status in (ACCEPTED, REFUSED) if status in found), "")
