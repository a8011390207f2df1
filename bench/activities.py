"""What is fed in: one event shape for the door, days of simulated communities for everything behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from demo.generator import generate
from kit.log import Record
from services.events import wire

SEED = 7
ID, ACTOR = "@ID@", "@ACTOR@"
ACTORS = 5_000


def door_event(at: datetime) -> str:
    """One event as a bot would post it (about 330 bytes) with places for its id and its actor."""
    event = {
        "specversion": "1.0",
        "id": ID,
        "source": "/bots/bench-main",
        "type": "message.created",
        "time": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "subject": "2108901",
        "datacontenttype": "application/json",
        "data": {
            "actor": ACTOR,
            "group": "qq:342561735",
            "reply_to": "2108877",
            "mentions": ["qq:10001000"],
            "length": 11,
            "kind": "text",
        },
    }
    return msgspec.json.encode(event).decode()


def actor(number: int) -> str:
    return f"qq:{2_600_000_000 + number % ACTORS}"


@dataclass(frozen=True, slots=True)
class Day:
    """The last day of a community of so many members, repeatable under another number with other people and ids."""

    events: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, at_least: int, end: datetime) -> "Day":
        """A day with at least so many events, cut to exactly that many: about 2.6 a member, half of them silent."""
        members = at_least // 2
        while True:
            # By id: the simulation sends a few twice, as bots do, and counts here are compared exactly.
            events = {event["id"]: event for event in generate(seed=SEED, members=members, days=1, end=end)}
            if len(events) >= at_least:
                return cls(tuple(events.values())[:at_least])
            members = members * 5 // 4 + 1

    def items(self, number: int, people: int | None = None) -> Iterator[bytes]:
        """The events as JSON. Every number is a community's worth of people nobody has seen before, so that what a
        day costs does not fall because its members are known already; unless it is said whose day `people` it is."""
        platform = f'"day{number if people is None else people}:'.encode()
        for event in self.events:
            changed = {**event, "source": f"/bench/{number}"}
            if "subject" in event:
                changed["subject"] = f"{number}-{event['subject']}"
            yield msgspec.json.encode(changed).replace(b'"demo:', platform)

    @property
    def people(self) -> int:
        """How many different ones did something."""
        return len({event["data"]["actor"] for event in self.events})

    def records(self, number: int, community: UUID, now: datetime) -> list[Record]:
        """The events as the door puts them on the log."""
        arrival = wire.Arrival(community, now, None, "bench", 64 * 1024)
        return [accepted(wire.check(item, arrival)) for item in self.items(number)]


def accepted(result: wire.Accepted | wire.Rejected) -> Record:
    if isinstance(result, wire.Rejected):
        raise ValueError(f"the door refused a made-up event: {result.wrong}")
    return result.record
