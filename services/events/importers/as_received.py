"""What a platform's receiver makes of a thing of an export: it is told in the words the platform would have used, so
that the same message has the same source and id whether it was heard of live or is imported (E18)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from services.events.importers.lines import Event
from services.events.receivers.door import activity_of, source_of
from services.events.receivers.form import Delivery, Malformed, Receiver, Seen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_HEADERS: Mapping[str, str] = {}


def seen_by(
    receiver: Receiver[Any, Any], told: Any, settings: Any, headers: Mapping[str, str] = NO_HEADERS
) -> list[Seen]:
    """What the receiver sees in this delivery; nothing where it ignores it. ValueError where it cannot be told."""
    try:
        body = msgspec.json.encode(told)
        return list(receiver.translate(Delivery(headers, {}, body, _EPOCH), settings).seen)
    except Malformed as error:
        raise ValueError(f"{error.pointer}: {error.message}" if error.pointer else error.message) from error
    except (RecursionError, OverflowError) as error:
        raise ValueError("nested too deeply, or a number that is too large") from error


def event_of(seen: Seen, platform: str, connection: UUID | None, unshared: str) -> Event:
    """The activity. `unshared` is the source of what no connection is named for, and whose names count for nobody
    else. ValueError without a time: what the platform is not told the time of happens now."""
    if seen.at is None:
        raise ValueError("no time, or none that there is")
    source = (
        unshared if connection is None and not seen.shared else source_of(seen, platform, connection or UUID(int=0))
    )
    event = activity_of(seen, source)
    return {**event, "time": seen.at.isoformat()}
