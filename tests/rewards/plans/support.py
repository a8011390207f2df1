"""Plans in tests: made, worked out and carried out step by step, without the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from kit.contracts.events import Activity
from kit.log.embedded import EmbeddedLog
from kit.service import ServiceRuntime
from kit.settings import load_settings
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.plans import planning, running
from services.rewards.service import SERVICE
from tests.rewards.guild import MORNING, Guild

LONG_AGO = MORNING - timedelta(days=3650)


@dataclass(slots=True)
class Plans:
    """Works on the plans of a guild as one process; `me` is its name among several."""

    guild: Guild
    one: ServiceRuntime
    me: UUID = field(default_factory=uuid4)

    async def simulate(
        self, *some: dict[str, Any], mode: str = "recompute", since: datetime = LONG_AGO, **more: Any
    ) -> Any:
        """The plan of these rules, ready."""
        parts = {name: list(more.get(name, ())) for name in ("unit_caps", "excluded_segments", "seasons")}
        rules = rule_sets.parse({"rules": list(some), **parts})
        async with self.guild.db.begin() as tx:
            plan = await planning.make(
                tx, community_id=self.guild.id, rules=rules, mode=mode, since=since, actor="operator:o"
            )
        await self.work(plan.id)
        return await self.find(plan.id)

    async def publish(self, plan: Any) -> Any:
        async with self.guild.db.begin() as tx:
            return await planning.publish(
                tx,
                community_id=self.guild.id,
                rules=rule_sets.parse(plan.draft),
                mode=plan.mode,
                plan_hash=plan.plan_hash,
                actor="operator:o",
                note="",
            )

    async def work(self, plan_id: UUID | str, steps: int = 10_000) -> None:
        for _ in range(steps):
            if not await running.step(self.one, UUID(str(plan_id)), self.me):
                return

    async def find(self, plan_id: UUID) -> Any:
        async with self.guild.db.read() as tx:
            return await planning.found(tx, self.guild.id, plan_id)

    async def recompute(self, *some: dict[str, Any], **more: Any) -> tuple[Any, Any]:
        """Simulated, published and carried out: the plan when it was ready, and in the end."""
        plan = await self.simulate(*some, **more)
        assert plan.state == "ready"
        await self.publish(plan)
        await self.work(plan.id)
        return plan, await self.find(plan.id)


def plans_of(guild: Guild, directory: Path) -> Plans:
    """One process; another one has another directory."""
    db = guild.db
    settings = load_settings({}, data_dir=directory, secret_key="s" * 40)
    log = EmbeddedLog(directory / "log.sqlite", clock=db.clock)
    return Plans(guild, ServiceRuntime(SERVICE, db, log, db.clock, settings))


async def scored(guild: Guild, batches: Sequence[Sequence[Activity]]) -> None:
    for batch in batches:
        if batch:
            await guild.score(*batch)
