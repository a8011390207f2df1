"""The log: every record to Kafka, in the order of its key, and every reader to where it had come.

A topic is empty over there at first, and records are appended in one fixed order: how many a partition has is how
many of the records that belong to it have arrived. So a second start goes on exactly where the first was killed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from kit.consumer import group_name
from kit.log import Partition, Record, Stored
from kit.log.batches import Entry
from kit.log.embedded.reading import LogFile
from kit.log.kafka import KafkaLog
from kit.log.partitioner import partition_of
from kit.runtime import consumed_topics
from kit.service import Service

Say = Callable[[str], None]


class _Readers:
    """Where the readers of a topic stand over there: before the first record that they have not read here.

    With several partitions here, a record read already may come behind one that is not; it is then read again, and
    the reader's inbox drops it.
    """

    def __init__(self, positions: Mapping[str, Mapping[Partition, int]]) -> None:
        self._positions = positions
        self._first: dict[str, dict[int, int]] = {group: {} for group in positions}

    def saw(self, place: Partition, offset: int, number: int, at: int) -> None:
        """The record at `offset` here is at `at` in partition `number` there."""
        for group, first in self._first.items():
            if number not in first and offset >= self._positions[group].get(place, 0):
                first[number] = at

    def places(self, topic: str, counts: Sequence[int]) -> Iterator[tuple[str, dict[Partition, int]]]:
        for group, first in self._first.items():
            yield group, {Partition(topic, n): first.get(n, end) for n, end in enumerate(counts)}


async def append_topic(
    file: LogFile, log: KafkaLog, topic: str, services: Iterable[Service], *, chunk: int, say: Say
) -> None:
    """Append what is not there yet, then put the services' groups in their places."""
    there = await log.ends(topic)
    known = file.positions()
    groups = [group_name(service.name, topic) for service in services if topic in consumed_topics(service)]
    readers = _Readers({group: known.get(group, {}) for group in groups})
    counts = [0] * len(there)
    waiting: list[Record] = []
    appended = 0
    for place, entry in _entries(file, topic):
        offset, key, value = entry
        number = partition_of(key, len(counts))
        readers.saw(place, offset, number, counts[number])
        counts[number] += 1
        if counts[number] > there[number]:
            waiting.append(Record(key, value))
        if len(waiting) == chunk:
            await log.append(topic, waiting)
            appended += len(waiting)
            say(f"appended {topic} {appended}")
            waiting = []
    if waiting:
        await log.append(topic, waiting)
    for group, offsets in readers.places(topic, counts):
        await log.place(group, offsets)
    say(f"appended {topic} {sum(counts)} in all")


def _entries(file: LogFile, topic: str) -> Iterator[tuple[Partition, Entry]]:
    for number in range(len(file.topics[topic].ends)):
        place = Partition(topic, number)
        for entries in file.entries(place):
            for entry in entries:
                yield place, entry


async def compared(file: LogFile, log: KafkaLog, topic: str) -> tuple[int, int, bool]:
    """How many records there are here and there, and whether they are the same, in the same order for each key.

    Of a compacted topic the newest record of each key counts: the broker may have dropped what it superseded.
    """
    ends = await log.ends(topic)
    counts = [0] * len(ends)
    compacted = file.topics[topic].topic.compacted
    mine, theirs = _Seen(compacted), _Seen(compacted)
    for _, (_, key, value) in _entries(file, topic):
        number = partition_of(key, len(ends))
        mine.add(Stored(topic, number, counts[number], key, value))
        counts[number] += 1
    async for records in log.replay(topic):
        for record in records:
            theirs.add(record)
    same = counts == ends and mine.digest() == theirs.digest()
    return sum(counts), sum(ends), same


class _Seen:
    """Records with their places, told apart by a digest whatever the order in which partitions are read."""

    def __init__(self, compacted: bool) -> None:
        self._compacted = compacted
        self._newest: dict[bytes, int] = {}
        self._sum = 0

    def add(self, record: Stored) -> None:
        told = f"{record.partition} {record.offset} {len(record.key)} {record.value is None} ".encode()
        body = told + record.key + (record.value or b"")
        one = int.from_bytes(blake2b(body, digest_size=16).digest(), "big")
        if self._compacted:
            self._newest[record.key] = one
        else:
            self._sum += one

    def digest(self) -> int:
        return self._sum + sum(self._newest.values())
