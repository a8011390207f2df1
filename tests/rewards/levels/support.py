"""Levels with multipliers, and rules that go by them."""

from typing import Any
from uuid import UUID

from services.rewards.domain.levels import LevelTable, Perks
from services.rewards.handlers import adjusting, levels
from tests.rewards.guild import Guild
from tests.rewards.ledger.support import wish

SCHEME = LevelTable(((0, ""), (50, ""), (100, ""), (200, "")))
PERKS = {2: Perks(multiplier=15_000), 3: Perks(roles=("regular",)), 4: Perks(multiplier=25_000)}


async def with_perks(guild: Guild, perks: dict[int, Perks] = PERKS, unit: str = "xp") -> Guild:
    async with guild.db.begin() as tx:
        await levels.change(tx, guild.id, unit, SCHEME, "operator:o", perks)
    return guild


def pays(id: str = "talk", on: str = "message.created", to: str = "actor", **fields: Any) -> dict[str, Any]:
    """A rule that gives points, multiplied: 5 unless the fields say otherwise."""
    how = {name: fields.pop(name) for name in ("unit", "amount", "cel", "random") if name in fields}
    amount = {} if how.keys() & {"cel", "random"} else {"amount": 5}
    return {"id": id, "on": [on], "give": [{"to": to, "unit": "points", "multiplied": True, **amount, **how}], **fields}


async def by_hand(guild: Guild, member: UUID, amount: int, unit: str = "xp") -> None:
    async with guild.db.begin() as tx:
        asked = wish(member, amount, unit=unit, allow_negative=True)
        await adjusting.post_one(tx, guild.id, asked, "operator:o")
