"""Instants in requests: with a zone, within the calendar every zone can follow, handed on in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def in_range(at: datetime) -> datetime:
    """The instant in UTC; ValueError outside of 1970 to 9000."""
    # Instants near the ends of the calendar cannot be moved to another zone.
    if not 1970 <= at.year <= 9000:
        raise ValueError("a time between 1970 and 9000")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(in_range)]
"""RFC 3339 with a zone, from 1970 to 9000."""
