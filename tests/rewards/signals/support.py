"""Rules that pay what a signal says, so that decisions show it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from kit.contracts.events import Activity
from services.rewards.tables.rules import decisions
from tests.rewards.guild import Guild
from tests.rewards.plans.histories import SIGNALS

EVERY = SIGNALS


def watching(*names: str, on: Sequence[str] = ("message.created",)) -> list[dict[str, Any]]:
    """A rule for each of these, which pays one more than it says."""
    return [
        {"id": name, "on": list(on), "give": [{"to": "actor", "unit": "xp", "cel": f"1 + {name}"}], "undone_by": []}
        for name in names
    ]


async def said(guild: Guild, *some: Activity) -> list[dict[str, int]]:
    """What the signals said of each of these."""
    out: dict[Any, dict[str, int]] = {a.event_id: {} for a in some}
    async with guild.db.read() as tx:
        for row in await tx.all(select(decisions).where(decisions.c.event_id.in_(out))):
            assert row.verdict == "granted", (row.rule_id, row.verdict, row.reason)
            out[row.event_id][row.rule_id] = row.wanted - 1
    return [out[a.event_id] for a in some]


async def values(guild: Guild, name: str, *some: Activity) -> list[int]:
    return [each[name] for each in await said(guild, *some)]
