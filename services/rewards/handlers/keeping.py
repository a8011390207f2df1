"""Keeping activities as they were handled, for rules to come (decision 0021): what came, in the order in which it was
decided, and what was known then of those it is about.

So rules that are run over them meet what they would have met: the member that an identity was, whether somebody was
away, the streak of that day, the community's zone. What was written is not among it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any
from uuid import UUID

import cramjam
import msgspec

from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx, lock_shared
from kit.turns import in_turns
from services.rewards.domain.levels import NO_FOOTING, Footing
from services.rewards.domain.people import inviter_id
from services.rewards.domain.streaks import State as Streak
from services.rewards.handlers.erasing.late import unnamed
from services.rewards.handlers.purging import day_of, is_history
from services.rewards.store import kept as store

if TYPE_CHECKING:
    from services.rewards.handlers.earning import Scene


class Person(msgspec.Struct, array_like=True, frozen=True):
    """Who it was then, as in `kit.copies`, and what their earning went by, where rules asked. New fields go to the end,
    with a default: of what was kept before segments were, nobody was in any."""

    id: UUID
    kind: str
    state: str
    segments: tuple[str, ...] = ()
    level: int = NO_FOOTING.level
    multiplier: int = NO_FOOTING.multiplier


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """One activity. `streak`: the one it saw, None where nothing looked at one; `closed`: decisions of its day were
    gone already; `checkin`: whether a series took it as a check-in. New fields go to the end, with a default.

    `data` is JSON, as bytes: whole numbers of any size stand in it, and MessagePack takes those of 64 bits.
    """

    event_id: UUID
    source: str
    id: str
    type: str
    subject: str | None
    occurred_at: Any
    received_at: Any
    effective_at: Any
    actor: str | None
    actor_id: UUID | None
    author: str | None
    author_id: UUID | None
    group: str | None
    import_name: str | None
    replay_id: str | None
    flags: tuple[str, ...]
    data: bytes
    who: Person | None
    whose: Person | None
    streak: tuple[int, int, int] | None
    closed: bool
    checkin: str = ""
    inviter_id: UUID | None = None
    inviter: Person | None = None

    @property
    def people(self) -> tuple[tuple[UUID | None, Person | None], ...]:
        """Computed ids and who they were."""
        return (self.actor_id, self.who), (self.author_id, self.whose), (self.inviter_id, self.inviter)

    def activity(self, community_id: UUID) -> Activity:
        same = {name: getattr(self, name) for name in _SAME}
        return Activity(community_id=community_id, data=msgspec.json.decode(self.data), **same)


_SAME = (
    "event_id", "source", "id", "type", "subject", "occurred_at", "received_at", "effective_at", "actor", "actor_id",
    "author", "author_id", "group", "import_name", "replay_id", "flags",
)  # fmt: skip


class Body(msgspec.Struct, array_like=True, frozen=True):
    """What a row holds: the zone and day start of then, and the activities."""

    zone: str
    day_start: int
    items: list[Kept]


_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_decode = msgspec.msgpack.Decoder(Body).decode


def packed(body: Body) -> bytes:
    return bytes(cramjam.lz4.compress_block(_encode(body)))


def opened(row: Any) -> Body:
    return _decode(bytes(cramjam.lz4.decompress_block(row.body)))


def gate(community_id: UUID) -> str:
    """What those who score hold together, and alone who puts a recompute into force, or schedules rules or cancels
    that."""
    return f"rewards rules {community_id}"


async def enter(tx: Tx, communities: Collection[UUID]) -> None:
    """The rules of these communities are neither recomputed into force nor scheduled until the transaction ends. Before
    all else that locks: whoever holds it alone waits for nobody."""
    await lock_shared(tx, [gate(community_id) for community_id in communities])


async def keep(tx: Tx, found: Sequence[Activity], scene: "Scene") -> None:
    """Once everything is decided: who decided later for the same counters stands later here too."""
    by: dict[UUID, list[Activity]] = {}
    for a in found:
        by.setdefault(a.community_id, []).append(a)
    rows = {}
    for community_id, some in by.items():
        place, items = scene.communities[community_id], []
        async for part in in_turns(some):
            items += [_kept(a, scene) for a in part]
        rows[community_id] = {
            "count": len(some),
            "first_at": min(a.effective_at for a in some),
            "last_at": max(a.effective_at for a in some),
            "history": sum(map(is_history, some)),
            "body": packed(Body(place.zone, place.day_start, items)),
        }
    await store.add(tx, rows)


def _kept(a: Activity, scene: "Scene") -> Kept:
    streak = scene.streaks.get(a.event_id)
    told = unnamed(a, scene)
    return Kept(
        **{name: getattr(told, name) for name in _SAME},
        data=msgspec.json.encode(told.data),
        who=_person(a, a.actor_id, scene),
        whose=_person(a, a.author_id, scene),
        streak=None if streak is None else (streak.current, streak.longest, streak.days),
        closed=is_history(a) and day_of(a) in scene.closed,
        checkin=scene.checkins.get(a.event_id, ""),
        inviter_id=inviter_id(told),
        inviter=_person(a, inviter_id(a), scene),
    )


def _person(a: Activity, computed: UUID | None, scene: "Scene") -> Person | None:
    if computed is None:
        return None
    member_id = scene.ids[a.community_id, computed]
    known, footing = scene.members.get((a.community_id, member_id)), scene.footing(a.community_id, computed)
    if known is None:
        return Person(member_id, "person", "observed", (), *footing)
    return Person(member_id, known.kind, known.state, known.segments, *footing)


@dataclass(frozen=True, slots=True)
class Chapter:
    """Activities that were handled one after the other, in one state of the world; `seq` is the last of their rows,
    `times` say of each when it was."""

    seq: int
    zone: str
    day_start: int
    items: tuple[Kept, ...]
    times: tuple[datetime, ...]

    def place(self, community: KnownCommunity) -> KnownCommunity:
        return replace(community, zone=self.zone, day_start=self.day_start)


def chapters(rows: Iterable[Any], most: int) -> list[Chapter]:
    """Rows as few chapters of up to `most` activities (one of a larger row is as large)."""
    out: list[Chapter] = []
    known: dict[UUID, Person] = {}
    seen: set[UUID] = set()
    for row in rows:
        body = opened(row)
        people, ids = _people(body.items), {item.event_id for item in body.items}
        last = out[-1] if out else None
        if (
            last is not None
            and len(last.items) + len(body.items) <= most
            and (last.zone, last.day_start) == (body.zone, body.day_start)
            and all(known.get(id, person) == person for id, person in people.items())
            # What is there twice (it was sent once more, or is a check-in that waited) meets what was decided the first
            # time, as it did then.
            and seen.isdisjoint(ids)
        ):
            known |= people
            seen |= ids
            times = (*last.times, *repeat(row.kept_at, len(body.items)))
            out[-1] = replace(last, seq=row.seq, items=(*last.items, *body.items), times=times)
        else:
            known, seen = people, ids
            times = tuple(repeat(row.kept_at, len(body.items)))
            out.append(Chapter(row.seq, body.zone, body.day_start, tuple(body.items), times))
    return out


def _people(items: Iterable[Kept]) -> dict[UUID, Person]:
    """Computed id and member → who it was."""
    out: dict[UUID, Person] = {}
    for item in items:
        for computed, person in item.people:
            if computed is not None and person is not None:
                out[computed] = out[person.id] = person
    return out


def people_of(
    community_id: UUID, items: Iterable[Kept]
) -> tuple[dict[tuple[UUID, UUID], UUID], dict[tuple[UUID, UUID], KnownMember]]:
    """Whom identities were, and what was known of them, by community, as a scene has it."""
    ids, members = {}, {}
    for item in items:
        for computed, person in item.people:
            if computed is not None and person is not None:
                ids[community_id, computed] = person.id
                members[community_id, person.id] = KnownMember(
                    person.id, "", person.state, person.kind, None, None, person.segments
                )
    return ids, members


def footings_of(community_id: UUID, items: Iterable[Kept]) -> dict[tuple[UUID, UUID], Footing]:
    """What the earning of these people went by then, by community, as a scene has it."""
    people = [person for item in items for _, person in item.people if person is not None]
    return {(community_id, person.id): Footing(person.level, person.multiplier) for person in people}


def streak_of(item: Kept) -> Streak | None:
    if item.streak is None:
        return None
    current, longest, days = item.streak
    return Streak(current=current, longest=longest, days=days)
