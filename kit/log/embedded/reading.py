"""The file of the embedded log, looked at from outside: beside the process that writes it, or while there is none."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kit.database.sqlite import read_only_uri
from kit.log import LogUnavailable, Partition, Topic
from kit.log.batches import Entry, unpack

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kept:
    """A topic in the file. `ends` are the next offsets, by partition."""

    topic: Topic
    ends: tuple[int, ...]


class LogFile:
    """Reads and never writes. A context manager; used by one thread. LogUnavailable when the file is not there, cannot
    be read or is no log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: dict[str, int] = {}
        try:
            self._connection = sqlite3.connect(
                read_only_uri(path), uri=True, isolation_level=None, timeout=5, check_same_thread=False
            )
            self.topics = self._load()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _unreadable(self, error: Exception) -> LogUnavailable:
        return LogUnavailable(f"the log at {self._path} cannot be read: {error}")

    def _rows(self, query: str, *parameters: Any) -> list[Any]:
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _load(self) -> dict[str, Kept]:
        ends: dict[tuple[int, int], int] = {}
        for topic, partition, last in self._rows(
            "SELECT topic, partition, max(last) FROM batches GROUP BY topic, partition"
        ):
            ends[topic, partition] = last + 1
        out = {}
        for id, name, partitions, compacted, retention in self._rows("SELECT * FROM topics"):
            keep = None if retention is None else timedelta(microseconds=retention)
            self._ids[name] = id
            out[name] = Kept(
                Topic(name, bool(compacted), keep), tuple(ends.get((id, number), 0) for number in range(partitions))
            )
        return out

    def positions(self) -> dict[str, dict[Partition, int]]:
        """Next-to-read offsets of every group that ever committed."""
        names = {id: name for name, id in self._ids.items()}
        out: dict[str, dict[Partition, int]] = {}
        for group, topic, partition, following in self._rows("SELECT * FROM positions"):
            out.setdefault(group, {})[Partition(names[topic], partition)] = following
        return out

    def newest(self) -> datetime | None:
        """When the last batch of all was written, by the clock of the process that wrote it."""
        [(at,)] = self._rows("SELECT max(at) FROM batches WHERE id IN (SELECT max(id) FROM batches)")
        return None if at is None else _EPOCH + timedelta(microseconds=at)

    def entries(self, place: Partition, offset: int = 0) -> Iterator[list[Entry]]:
        """What is there from `offset` on, a batch at a time, in order."""
        query = "SELECT body FROM batches WHERE topic = ? AND partition = ? AND last >= ? ORDER BY last"
        try:
            for (body,) in self._connection.execute(query, (self._ids[place.topic], place.number, offset)):
                yield [entry for entry in unpack(body) if entry[0] >= offset]
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def torn(self) -> list[str]:
        """The partitions whose last batch is not whole, with what is wrong with it."""
        out = []
        query = "SELECT body FROM batches WHERE topic = ? AND partition = ? AND last = ?"
        for name, kept in self.topics.items():
            for number, end in enumerate(kept.ends):
                for (body,) in self._rows(query, self._ids[name], number, end - 1):
                    wrong = _wrong(body, end - 1)
                    if wrong:
                        out.append(f"{name}, partition {number}, offset {end - 1}: {wrong}")
        return out


def _wrong(body: bytes, last: int) -> str:
    try:
        entries = unpack(body)
    except Exception as error:
        # Bytes that are no batch make the decompressor and the decoder raise whatever they like.
        return f"cannot be unpacked ({error})"
    if not entries or entries[-1][0] != last:
        return f"ends at {entries[-1][0] if entries else 'nothing'}"
    return ""
