"""The only source of the present, and of ids that carry it.

Nothing else in the project may ask the operating system for the time: the clock travels as an argument
(`Clock`) or stands on the transaction (`Tx.now`), so that a test or a replay decides what time it is.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present in UTC, with zone, to the microsecond."""
    return datetime.now(UTC)


def uuid7(now: datetime) -> UUID:
    """A UUIDv7 for the instant `now`: 48 bits of milliseconds, 12 bits of the sub-millisecond, 62 random bits.

    Ids made within one microsecond are not ordered among themselves; uniqueness rests on the random bits.
    """
    micros = int(now.timestamp() * 1_000_000)
    millis, rest = divmod(micros, 1000)
    value = (millis & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= (rest * 4096 // 1000) << 64
    value |= 0b10 << 62
    value |= int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=value)
