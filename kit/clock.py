"""The only source of the present, and of ids that carry it.

Nothing else in the project may ask the operating system for the time: the clock travels as an argument
(`Clock`) or stands on the transaction (`Tx.now`), so that a test or a replay decides what time it is.
"""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from kit.ids import to_uuid

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
    value |= int.from_bytes(_random(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    return to_uuid(value.to_bytes(16, "big"))


def first_uuid7(at: datetime) -> UUID:
    """The least UUIDv7 of an instant, to the millisecond: those made before it are below."""
    return to_uuid((max(int(at.timestamp() * 1000), 0) << 80).to_bytes(16, "big"))


_pool = bytearray()
_taking = threading.Lock()


def _random(length: int) -> bytes:
    """Bytes from the operating system, fetched many at a time: each call lets go of the interpreter, and under load
    getting it back takes longer than all else about an id."""
    with _taking:
        if len(_pool) < length:
            _pool.extend(os.urandom(4096))
        out = bytes(_pool[-length:])
        del _pool[-length:]
    return out


def random_id() -> str:
    """32 hexadecimal digits nobody has seen before. No secret: for names of requests."""
    return _random(16).hex()


# A child must not make the ids its parent makes.
os.register_at_fork(after_in_child=_pool.clear)
