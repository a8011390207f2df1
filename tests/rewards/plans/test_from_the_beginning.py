"""Whatever happened, and whatever rules scored it: recomputed, everything is as if the new ones had from the start."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kit.contracts.events import Activity
from kit.database import Database
from services.rewards.domain.boards import key_of
from services.rewards.domain.groups import account_name
from services.rewards.domain.ledger import system_account_id
from services.rewards.handlers.boards import USUAL_PERIODS
from services.rewards.handlers.plans import running
from tests.rewards.boards.support import page
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.histories import GROUPS, PEOPLE, UNITS, Step, act, rule_sets, steps
from tests.rewards.plans.support import plans_of
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


@pytest.fixture
async def twin(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


async def has(guild: Guild, people: Guild) -> dict[tuple[str, str], int]:
    """What those who are known by their names in `people` have, and the guild's groups."""
    ids = {name: people.member(name) for name in PEOPLE}
    ids |= {group: system_account_id(guild.id, account_name(group)) for group in GROUPS.values()}
    return {(name, unit): await guild.balance(id, unit) for name, id in ids.items() for unit in UNITS}


async def score_both(guild: Guild, other: Guild, batch: Sequence[Activity]) -> None:
    """The same, of the same people: only the community is another one (what is read of a version is remembered)."""
    assert isinstance(guild.db.clock, ManualClock)
    guild.db.clock.advance(timedelta(seconds=1))
    await guild.score(*batch)
    await other.score(*(replace(a, community_id=other.id) for a in batch))


async def boards_of(guild: Guild, days: set[date]) -> dict[tuple[str, str], list[Any]]:
    """Everything the board `xp` says."""
    out = {}
    for kind, key in sorted({(kind, key_of(kind, day)) for kind in USUAL_PERIODS for day in days}):
        lines = await page(guild, "xp", kind, key)
        out[kind, key] = [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items]
    return out


def besides(rule_set: dict[str, Any]) -> dict[str, Any]:
    """What a set has besides its rules."""
    return {name: part for name, part in rule_set.items() if name != "rules"}


def cut(data: st.DataObject, history: list[Any]) -> list[list[Any]]:
    """The history in batches."""
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(history))), max_size=4)))
    return [some for a, b in zip([0, *cuts], [*cuts, len(history)], strict=True) if (some := history[a:b])]


@settings(max_examples=12, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(
    data=st.data(),
    before=rule_sets(),
    after=rule_sets(),
    history=st.lists(steps, min_size=1, max_size=16),
    more=st.lists(steps, max_size=5),
)
async def test_recomputed_is_scored_from_the_beginning(
    db: Database,
    twin: Database,
    tmp_path: Path,
    data: st.DataObject,
    before: dict[str, Any],
    after: dict[str, Any],
    history: list[Step],
    more: list[Step],
) -> None:
    guild = await make_guild(db)
    other = await make_guild(twin)
    await guild.publish(*before["rules"], **besides(before))
    await other.publish(*after["rules"], **besides(after))
    batches = cut(data, [act(guild, step) for step in history])
    for batch in batches:
        await score_both(guild, other, batch)
    plans = plans_of(guild, tmp_path)
    plan, over = await plans.recompute(*after["rules"], **besides(after))
    assert over.posted == plan.result["postings"]
    assert await has(guild, guild) == await has(other, guild)
    for batch in cut(data, [act(guild, step) for step in more]):
        await score_both(guild, other, batch)
    assert await has(guild, guild) == await has(other, guild)
    await check_books(db)
    days = {MORNING.date() + timedelta(days=n) for n in range(-1, 8)}
    assert await boards_of(guild, days) == await boards_of(other, days)
    _, over = await plans.recompute(*after["rules"], **besides(after))
    assert over.posted == {"entries": 0, "units": {}}
    shutil.rmtree(tmp_path / "plans")


@settings(max_examples=8, phases=(Phase.reuse, Phase.explicit, Phase.generate))
@given(
    data=st.data(),
    before=rule_sets(),
    after=rule_sets(),
    history=st.lists(steps, min_size=1, max_size=12),
    meanwhile=st.lists(steps, min_size=1, max_size=12),
)
async def test_what_comes_while_it_runs_counts_once_and_by_the_new_rules(
    db: Database,
    twin: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
    before: dict[str, Any],
    after: dict[str, Any],
    history: list[Step],
    meanwhile: list[Step],
) -> None:
    """Now and then a process finds no files of the one before."""
    monkeypatch.setattr(running, "STEP", 3)
    guild = await make_guild(db)
    other = await make_guild(twin)
    await guild.publish(*before["rules"], **besides(before))
    await other.publish(*after["rules"], **besides(after))
    for batch in cut(data, [act(guild, step) for step in history]):
        await score_both(guild, other, batch)
    one = plans_of(guild, tmp_path)
    plan = await one.simulate(*after["rules"], **besides(after))
    await one.publish(plan)
    batches = cut(data, [act(guild, step) for step in meanwhile])
    while (await one.find(plan.id)).state != "done":
        if batches and data.draw(st.booleans()):
            await score_both(guild, other, batches.pop(0))
        if data.draw(st.integers(0, 9)) == 0:
            shutil.rmtree(tmp_path / "plans")
        await one.work(plan.id, steps=1)
    for batch in batches:
        await score_both(guild, other, batch)
    assert await has(guild, guild) == await has(other, guild)
    await check_books(db)
    _, over = await one.recompute(*after["rules"], **besides(after))
    assert over.posted == {"entries": 0, "units": {}}
    shutil.rmtree(tmp_path / "plans")
