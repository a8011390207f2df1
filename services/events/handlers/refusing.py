"""What the door refuses, told on the log so that it can be looked at, mended and tried again (E17).

On the log, because the door waits for no database. While the log is away too, what is refused is answered and not
kept; so is what comes over the limits below, which is only counted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from uuid import UUID

from kit import codec
from kit.clock import uuid7
from kit.contracts import ACTIVITY_TOPIC, contract_of
from kit.contracts.events import ItemsRejected, KeptRejection, RejectedBesides
from kit.days import local_day
from kit.log import LogUnavailable, Record
from kit.service import ServiceRuntime
from services.events import redaction
from services.events.domain import Wrong
from services.events.redaction import Kept
from services.events.wire import Arrival, Checked

MOST_AT_ONCE = 50
"""Of one request or delivery; with `redaction.MAX_KEPT` each, the record stays far below what the log takes."""
MOST_COMMUNITIES = 10_000

_KEY = contract_of(ItemsRejected).key


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing refused. `keep` says what may be kept of it; called only when there is room."""

    wrong: Wrong
    keep: Callable[[], Kept]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Whose:
    """What is said of everything that one request or delivery brought."""

    community_id: UUID
    at: datetime
    request_id: str
    connection_id: UUID | None = None
    import_name: str | None = None


@dataclass(slots=True)
class Room:
    """How much of today's is kept by this process. The table's own count has the last word: it knows the others'."""

    most: int
    _kept: dict[UUID, tuple[date, int]] = field(default_factory=dict)

    def take(self, community_id: UUID, day: date, wanted: int) -> int:
        """How many of these may be kept."""
        since, kept = self._kept.get(community_id, (day, 0))
        kept = kept if since == day else 0
        granted = max(0, min(wanted, self.most - kept))
        if len(self._kept) >= MOST_COMMUNITIES:
            self._kept.clear()
        self._kept[community_id] = day, kept + granted
        return granted


def room_of(one: ServiceRuntime) -> Room:
    made = one.memory.get("rejected-room")
    if made is None:
        made = one.memory["rejected-room"] = Room(one.settings.rejected_per_day)
    assert isinstance(made, Room)
    return made


def told(one: ServiceRuntime, refusals: Sequence[Refusal], whose: Whose) -> list[Record]:
    """The record that tells of them; none when nothing was refused."""
    if not refusals:
        return []
    at = whose.at
    granted = room_of(one).take(whose.community_id, local_day(at, "UTC", 0), min(len(refusals), MOST_AT_ONCE))
    besides = Counter(refusal.wrong.code for refusal in refusals[granted:])
    event = ItemsRejected(
        community_id=whose.community_id,
        connection_id=whose.connection_id,
        import_name=whose.import_name,
        items=tuple(_kept(refusal, at) for refusal in refusals[:granted]),
        beyond=tuple(RejectedBesides(code=code, count=many) for code, many in besides.items()),
        most=one.settings.rejected_per_day,
    )
    return [Record(_KEY(event).encode(), codec.encode(event, id=uuid7(at), time=at, request_id=whose.request_id))]


def _kept(refusal: Refusal, at: datetime) -> KeptRejection:
    kept, wrong = refusal.keep(), refusal.wrong
    return KeptRejection(
        rejection_id=uuid7(at),
        form=kept.form,
        code=wrong.code,
        pointer=wrong.pointer,
        message=wrong.message,
        id=refusal.id if refusal.id and redaction.is_id(refusal.id) else None,
        size=kept.size,
        digest=kept.digest,
        marked=kept.marked,
        kept=kept.value,
    )


def of_items(one: ServiceRuntime, arrival: Arrival, items: Sequence[bytes], checked: Checked) -> list[Record]:
    """The items of a request that were refused."""
    refusals = [
        Refusal(wrong, partial(redaction.of_event, bytes(items[index])), checked.ids[index])
        for index, wrong in checked.wrong.items()
    ]
    return told(one, refusals, _whose(arrival))


def _whose(arrival: Arrival) -> Whose:
    return Whose(arrival.community_id, arrival.received_at, arrival.request_id, import_name=arrival.import_name)


async def keep_body(one: ServiceRuntime, arrival: Arrival, body: bytes, code: str, message: str) -> None:
    """A request's body of which no item could be told from another: its size and its hash."""
    refusal = Refusal(Wrong(code, "", message), partial(redaction.of_bytes, body))
    await append(one, told(one, [refusal], _whose(arrival)))


async def append(one: ServiceRuntime, records: Sequence[Record]) -> None:
    """Of refusals alone: who is refused is told so, whether it can be kept or not."""
    if records:
        try:
            await one.log.append(ACTIVITY_TOPIC, records)
        except LogUnavailable:
            return
