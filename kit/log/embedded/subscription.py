"""One member of a consumer group of the embedded log: what it owns, where it stands, what it read ahead."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kit.log import Partition, Revoked, Stored
from kit.log.batches import Entry

if TYPE_CHECKING:
    from kit.log.embedded.log import EmbeddedLog


class EmbeddedSubscription:
    """See `kit.log.Subscription`."""

    def __init__(self, log: "EmbeddedLog", group: str, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self._log = log
        self._group = group
        self._assigned: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._buffers: dict[Partition, list[Entry]] = {}
        self._lost: set[Partition] = set()
        self._changed = asyncio.Event()
        self._turn = 0

    def assign(self, partitions: frozenset[Partition]) -> None:
        for gone in self._assigned - partitions:
            self._positions.pop(gone, None)
            self._buffers.pop(gone, None)
            self._lost.add(gone)
        for new in partitions - self._assigned:
            self._positions[new] = self._log.committed(self._group, new)
        self._assigned = partitions
        self._changed.set()

    def assigned(self) -> frozenset[Partition]:
        return self._assigned

    async def fetch(self, limit: int, wait: float) -> list[Stored]:
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            self._changed.clear()
            wakes = [self._log.wake_of(topic) for topic in self.topics]
            records = await self._take(limit)
            if records:
                return records
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            waits = [asyncio.ensure_future(event.wait()) for event in (*wakes, self._changed)]
            try:
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()

    async def _take(self, limit: int) -> list[Stored]:
        """Up to `limit` records over the assigned partitions, another partition first each time."""
        order = sorted(self._assigned)
        self._turn += 1
        out: list[Stored] = []
        for place in order[self._turn % len(order) :] + order[: self._turn % len(order)] if order else []:
            while len(out) < limit and place in self._assigned:
                if not self._buffers.get(place):
                    entries = await self._log.read(place, self._positions[place])
                    if not entries or place not in self._assigned:
                        break
                    self._buffers[place] = entries
                buffered = self._buffers[place]
                taken, self._buffers[place] = buffered[: limit - len(out)], buffered[limit - len(out) :]
                self._positions[place] = taken[-1][0] + 1
                self._lost.discard(place)
                out.extend(Stored(place.topic, place.number, offset, key, value) for offset, key, value in taken)
        return out

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        # One that went away and came back counts as lost: its owner in between may have gone further.
        lost = {place for place in offsets if place not in self._assigned or place in self._lost}
        if lost:
            raise Revoked(f"no longer ours: {sorted(lost)}")
        await self._log.move(self._group, offsets)

    async def abandon(self) -> None:
        self._buffers.clear()
        self._lost.clear()
        for place in self._assigned:
            self._positions[place] = self._log.committed(self._group, place)

    async def close(self) -> None:
        self._log.leave(self._group, self)
