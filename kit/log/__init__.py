"""The log: ordered, durable, partitioned. This module is the protocol; `embedded` and `kafka` keep it.

Guaranteed by every implementation, and held by one behaviour suite (`tests/kit/log`):

* `append` returns only when every record is durable, or raises and promises nothing about any of them
  (some may be stored all the same: callers retry, consumers are idempotent).
* Records of one key keep the order in which their `append` calls were *started* by one process, one after the other.
* The partition is `murmur2(key) mod partitions`, as in every Kafka client, so that all writers agree.
* A group sees every record at least once; each partition has at most one owner in a group at a time,
  and `commit` by anybody else raises `Revoked`.
* Offsets are always the *next to read*.

Not guaranteed: exactly-once (the inbox does that), order between keys, consecutive offsets (compaction leaves holes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

MAX_RECORD_BYTES = 1_000_000
"""Key and value of one record together; what a Kafka broker takes by default, less what surrounds a record."""


class Partition(NamedTuple):
    topic: str
    number: int


class Position(NamedTuple):
    """Where an appended record stands."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic must look like. `compacted` keeps the newest record of each key for ever and has no retention."""

    name: str
    compacted: bool = False
    retention: timedelta | None = None


class Record(NamedTuple):
    """Bytes to append. `value=None` is a tombstone on a compacted topic."""

    key: bytes
    value: bytes | None


class Stored(NamedTuple):
    """One record as read back."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None


class LogUnavailable(Exception):
    """The log could not make it durable or could not be read just now. Retrying later is right."""


class RecordTooLarge(ValueError):
    """One record is over the limit of the log; nothing of the call was appended."""


def check_sizes(records: Sequence[Record]) -> None:
    """RecordTooLarge when one of the records is over the limit, so that nothing of an append is written."""
    longest = max([len(key) + len(value or b"") for key, value in records], default=0)
    if longest > MAX_RECORD_BYTES:
        raise RecordTooLarge(f"a record of {longest} bytes is over the limit of {MAX_RECORD_BYTES}")


class Revoked(Exception):
    """The partition went to another member of the group: what was in hand must be rolled back, not committed."""


class Subscription(Protocol):
    """One member of a consumer group. Used by one task; at most one batch is in hand at a time."""

    async def fetch(self, limit: int, wait: float) -> list[Stored]:
        """Up to `limit` records, in order within each partition; `[]` when nothing came within `wait` seconds.

        Fetching again without `commit` or `abandon` goes on behind the last batch.
        """
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Durably move the group's position to the given next-to-read offsets. Raises `Revoked`, `LogUnavailable`.

        A partition that went to another member since it was fetched is `Revoked` even when it came back meanwhile.
        """
        ...

    async def abandon(self) -> None:
        """Forget what was fetched since the last commit: the next `fetch` starts at the committed offsets again."""
        ...

    def assigned(self) -> frozenset[Partition]:
        """The partitions this member owns now."""
        ...

    async def close(self) -> None:
        """Leave the group; bounded in time; never raises."""
        ...


class Log(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Finish what was appended, then close. Bounded in time."""
        ...

    async def ensure(self, topics: Sequence[Topic]) -> None:
        """Create what is missing; raise `TopicMismatch` where an existing topic contradicts its description."""
        ...

    async def append(self, topic: str, records: Sequence[Record]) -> Sequence[Position]:
        """Make all records durable; positions in input order. Raises `LogUnavailable`, `RecordTooLarge`."""
        ...

    async def subscribe(self, group: str, topics: Sequence[str]) -> Subscription:
        """Join `group`. A group that never committed starts at the oldest record."""
        ...

    async def lag(self, group: str, topics: Sequence[str]) -> dict[Partition, int]:
        """Records behind the group's committed offset, per partition. 0 for a partition that is drained."""
        ...

    async def progress(self, group: str, topics: Sequence[str]) -> dict[Partition, tuple[int, int]]:
        """Per partition the next offset that the group reads, and the next one that is appended."""
        ...

    async def check(self) -> None:
        """Raise `LogUnavailable` unless the log can be written and read now (used by /readyz)."""
        ...


class TopicMismatch(Exception):
    """An existing topic is not as described (partitions, compaction); says what to change."""
