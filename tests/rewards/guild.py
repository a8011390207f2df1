"""A community with rules, and activities in it, for the tests of what activity is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from kit import copies
from kit.contracts import NOWHERE, Envelope, activity_event_id, identity_member_id
from kit.contracts.events import Activity
from kit.contracts.members import IdentityLinked
from kit.database import Database
from services.rewards.handlers import earning, rules, welcome
from services.rewards.tables.rules import decisions
from tests.rewards.ledger.support import Place, community_changed, member_changed

MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""A Monday; the clock of the tests shows 09:00."""

_numbers = count(1)


@dataclass(slots=True)
class Guild(Place):
    """People are known by their names: `ann` is the identity `qq:ann`."""

    def member(self, name: str) -> UUID:
        return identity_member_id(self.id, f"qq:{name}")

    def act(
        self, type: str = "message.created", by: str | None = "ann", at: datetime = MORNING, **fields: Any
    ) -> Activity:
        """Something `by` somebody, received when it happened unless `late` says how much later."""
        number = next(_numbers)
        author = fields.pop("of", None)
        late: timedelta = fields.pop("late", timedelta())
        data = {"actor": f"qq:{by}" if by else None, **({"author": f"qq:{author}"} if author else {})}
        values: dict[str, Any] = {
            "source": "/test",
            "id": f"e{number}",
            "subject": None,
            "occurred_at": at,
            "received_at": at + late,
            "effective_at": at,
            "actor": data.get("actor"),
            "actor_id": self.member(by) if by else None,
            "author": data.get("author"),
            "author_id": self.member(author) if author else None,
            "group": "qq:100",
            **fields,
        }
        values["data"] = {**data, **values.get("data", {})}
        event_id = activity_event_id(self.id, values["source"], values["id"])
        return Activity(event_id=event_id, community_id=self.id, type=type, **values)

    async def score(self, *activities: Activity) -> None:
        """One batch, as the consumer hands it over."""
        async with self.db.begin() as tx:
            await earning.score(tx, [envelope(a, a.event_id) for a in activities])

    async def publish(
        self,
        *some: dict[str, Any],
        unit_caps: Sequence[dict[str, Any]] = (),
        excluded_segments: Sequence[str] = (),
        seasons: Sequence[dict[str, str]] = (),
        effective_from: datetime | None = None,
    ) -> int:
        """These rules as the next version; returns it."""
        parts = {"unit_caps": unit_caps, "excluded_segments": excluded_segments, "seasons": seasons}
        whole = {"rules": list(some), **{name: list(part) for name, part in parts.items()}}
        wanted = rules.parse(whole)
        async with self.db.begin() as tx:
            row = await rules.publish(
                tx,
                community_id=self.id,
                rules=wanted,
                actor="operator:o",
                note="",
                expected=None,
                effective_from=effective_from,
            )
        return int(row.version)

    async def verdicts(self, activity: Activity) -> list[tuple[str, str, int]]:
        """(rule, verdict, amount) of each decision on an activity."""
        async with self.db.read() as tx:
            t = decisions
            where = t.c.event_id == activity.event_id
            rows = await tx.all(select(t).where(where).order_by(t.c.rule_id, t.c.unit, t.c.receiver))
        return [(r.rule_id, r.verdict, r.amount) for r in rows]

    async def has(self, name: str, unit: str = "xp") -> int:
        return await self.balance(self.member(name), unit)

    async def hear(self, *events: Any) -> None:
        async with self.db.begin() as tx:
            await copies.apply(tx, events)

    async def know(self, name: str, **fields: Any) -> None:
        """News of a person from the members service."""
        await self.hear(replace(member_changed(self.id, self.member(name), name), **fields))

    async def link(self, name: str, to: str) -> None:
        """The identity of `name` belongs to the member `to` from now on."""
        event = IdentityLinked(
            community_id=self.id,
            identity=f"qq:{name}",
            member_id=self.member(to),
            version=1,
        )
        await self.hear(event)


def envelope(event: Any, id: UUID | None = None) -> Envelope[Any]:
    return Envelope(id or uuid4(), MORNING, event.community_id, None, event, NOWHERE)


async def make_guild(db: Database, *, zone: str = "UTC", day_start: int = 0, id: UUID | None = None) -> Guild:
    """A new community, welcomed with the starter rules."""
    guild = Guild(db, id or uuid4(), [])
    born = community_changed(guild.id, zone=zone, day_start=day_start)
    async with db.begin() as tx:
        await copies.apply(tx, [born])
        await welcome(tx, [envelope(born)])
    return guild


def rule(id: str = "talk", on: str = "message.created", amount: int = 1, **fields: Any) -> dict[str, Any]:
    """A rule that gives xp to the actor, unless the fields say otherwise."""
    give = [{"to": "actor", "unit": "xp", "amount": amount}]
    return {"id": id, "on": [on], "give": give, **fields}
