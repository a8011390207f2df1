"""The ledger under attack, and recomputes in it: other rules over what was, killed at any statement and taken on by
another replica, while others post, take back by hand and are erased; and always what an independent model says."""

import asyncio
from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from kit.database import Database
from services.rewards.handlers import earning
from services.rewards.handlers.erasing.running import AGAIN_AFTER
from services.rewards.tables.ledger import transactions
from tests.rewards.erasing.support import hear
from tests.rewards.guild import Guild, envelope
from tests.rewards.ledger.killing import died, killing, replica
from tests.rewards.ledger.model import ACCEPTED, Op
from tests.rewards.ledger.support import change_unit, make_place
from tests.rewards.ledger.test_attack import (
    ASKED,
    AT,
    BEGINNING,
    MOST_MODELS,
    WHO,
    Asked,
    Attacked,
    Done,
    Make,
    machine,
)
from tests.rewards.plans.model import Act, Line, Rules, ScoredModel
from tests.rewards.plans.support import plans_of
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

NAMES = ("ann", "bob", "cy")
LEASE_OVER = timedelta(seconds=61)
BEFORE = {"talk": 3}


class Ticking(ManualClock):
    """Never the same twice, as lines of one activity are told apart by when they were posted."""

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


def drafted(rules: Rules) -> list[dict[str, Any]]:
    long = {"when": "event.data.length >= 5"}
    return [
        {"id": id, "on": ["message.created"], "give": [{"to": "actor", "unit": "points", "amount": amount}],
         **(long if id == "long" else {})}
        for id, amount in sorted(rules.items())
    ]  # fmt: skip


class Scored(Attacked):
    """The community has rules, and plans to change them on either replica."""

    def __init__(self, guild: Guild, other: Database, clock: ManualClock, directory: Path) -> None:
        super().__init__(guild, other, clock)
        self.names: dict[UUID, Hashable] = {}
        self.order: dict[Hashable, UUID] = {}
        self.guild = guild
        places = [directory / str(number) for number in range(2)]
        for place in places:
            place.mkdir(parents=True)
        self.directories = places

    async def _score(self, tx: Any, op: Op) -> Done:
        some = []
        for one in op.batch:
            assert isinstance(one, Act)
            data = {"length": one.amount}
            act = self.guild.act(by=NAMES[one.member], at=one.at, id=f"act {one.name}", data=data)
            self.names[act.event_id], self.order[one.name] = one.name, act.event_id
            some.append(envelope(act, act.event_id))
        await earning.score(tx, some)
        return ACCEPTED, {}

    async def seen(self) -> dict[str, Any]:
        t, numbers = transactions.c, Counter[tuple[Hashable, str]]()
        async with self.place.db.read() as tx:
            where = t.community_id == self.place.id, t.kind == "grant", t.rule_id.in_(("talk", "long"))
            for row in await tx.all(select(t.id, t.source_event_id, t.rule_id).where(*where).order_by(t.id)):
                key = self.names[row.source_event_id], row.rule_id
                self.ids[Line(*key, numbers[key])] = row.id
                numbers[key] += 1
        return await super().seen()

    def plans(self, number: int) -> Any:
        """A process that has just begun, on this replica."""
        return plans_of(replace(self.guild, db=self.replicas[number]), self.directories[number])

    async def publish(self, rules: Rules) -> Any:
        plans = self.plans(0)
        plan = await plans.simulate(*drafted(rules))
        assert plan.state == "ready", plan.error
        await plans.publish(plan)
        return plan

    async def post(self, plan: Any, number: int) -> Counter[str]:
        """What was posted when it is through."""
        plans = self.plans(number)
        await plans.work(plan.id)
        over = await plans.find(plan.id)
        assert over.state == "done", over.error
        assert over.posted["units"].keys() <= {"points"}
        return Counter(entries=over.posted["entries"], **over.posted["units"].get("points", {}))


ACTS = st.lists(
    st.tuples(WHO, st.sampled_from([1, 5]), st.sampled_from([None, None, 0, 1, 2]), st.integers(0, 4)),
    min_size=1, max_size=4,
)  # fmt: skip
RULES = st.builds(
    lambda talk, long: {"talk": talk, **({"long": long} if long else {})},
    st.sampled_from([-2, 1, 3, 7]),
    st.sampled_from([None, 2, 4]),
)
MEANWHILE = st.one_of(st.none(), ASKED, ACTS, ACTS, WHO)
MOST = 2
"""Recomputes in an example."""


def with_rules(loop: asyncio.AbstractEventLoop, make: Make) -> Any:
    def wait(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    class Recomputed(machine(loop, make)):  # type: ignore[misc]  # a class of a function
        model = ScoredModel

        def __init__(self) -> None:
            super().__init__()
            self.recomputes = 0

        @initialize(clawback=st.sampled_from(["allow_negative", "to_zero_and_record_debt", "refuse"]),
                    days=st.sampled_from([None, 5, 5]), acts=ACTS)  # fmt: skip
        def begins(self, clawback: str, days: int | None, acts: list[Any]) -> None:
            self.here = wait(make(clawback))
            self.models = [ScoredModel(BEGINNING, clawback, rules=BEFORE)]
            self.another_term(days)
            op = self.scoring([*acts, *((n, 5, None, n) for n in range(3))])
            self.came(wait(self.here.run(op, self.here.replicas[0])), op)

        def scoring(self, acts: list[tuple[int, int, int | None, int]]) -> Op:
            """What has a key is told with the same content every time."""
            now, some = self.models[0].now, []
            for who, letters, key, ago in acts:
                if key is None:
                    some.append(Act("act", next(self.handles), who, letters, at=now - timedelta(days=ago)))
                else:
                    at = BEGINNING - timedelta(days=key)
                    some.append(Act("act", next(self.handles), key, 1 + 4 * (key % 2), f"k{key}", at=at))
            # What is in one batch twice the consumer handles once.
            once = {act.name: act for act in some}
            return Op("score", next(self.handles), batch=tuple(once.values()))

        @rule(acts=ACTS, at=st.one_of(st.none(), AT.map(lambda n: n * 4)), besides=st.one_of(st.none(), ASKED))
        def somebody_writes(self, acts: list[Any], at: int | None, besides: Asked | None) -> None:
            op = self.scoring(acts)
            if at is not None:
                self.dies(op, at)
            else:
                self.at_once(op, op if besides is None else self.op(besides))

        @precondition(lambda self: self.recomputes < MOST and len(self.models) * 4 <= MOST_MODELS)
        @rule(rules=RULES, at=st.integers(1, 150), number=st.integers(0, 1), meanwhile=MEANWHILE, at_once=st.booleans())
        def rules_are_recomputed(self, rules: Rules, at: int, number: int, meanwhile: Any, at_once: bool) -> None:
            """Killed at a statement, of the plan's file too, and taken on by whoever comes next."""
            self.recomputes += 1
            plan = wait(self.here.publish(rules))

            async def dying() -> None:
                with killing(None, at):
                    await died(self.here.post(plan, 0))

            wait(dying())
            self.here.clock.advance(LEASE_OVER)
            for model in self.models:
                model.now += LEASE_OVER
            if isinstance(meanwhile, int):
                self.recomputed_while_erasing(plan, rules, number, meanwhile)
            else:
                op = self.scoring(meanwhile) if isinstance(meanwhile, list) else meanwhile and self.op(meanwhile)
                self.recomputed_besides(plan, rules, number, op, at_once)

        def recomputed_while_erasing(self, plan: Any, rules: Rules, number: int, member: int) -> None:
            """From when it is told on nothing goes to them, though the erasure waits for the recompute."""
            wait(hear(self.here.place, self.here.place.members[member]))
            posted = wait(self.here.post(plan, number))
            wait(self.here.erase(member, None))
            tried = []
            for model in self.models:
                for first in (True, False):
                    one, figures = model.copy(), Counter[str]()
                    if not first:
                        figures += one.recompute(rules, self.here.order, one.written)
                    one.erase(member)
                    figures += one.recompute(rules, self.here.order, one.written)
                    one.rules, one.now = rules, one.now + 2 * AGAIN_AFTER
                    if figures == posted:
                        tried.append(one)
            self.agrees(tried)

        def recomputed_besides(self, plan: Any, rules: Rules, number: int, op: Op | None, at_once: bool) -> None:
            """Whatever else is asked comes before it, in the midst of it, or after it."""

            async def both() -> tuple[Any, Any]:
                if op is None:
                    return None, await self.here.post(plan, number)
                asked, posting = self.here.run(op, self.here.replicas[1 - number]), self.here.post(plan, number)
                if at_once:
                    return tuple(await asyncio.gather(asked, posting))
                return await asked, await posting

            outcome, posted = wait(both())
            order, tried = self.here.order, []
            for model in self.models:
                old = list(model.written)
                all_of = lambda m: m.recompute(rules, order, m.written)  # noqa: E731 - a step among steps
                old_ones = lambda m: m.recompute(rules, order, old)  # noqa: B023, E731 - used at once
                for ways in ((None, old_ones, all_of), (None, all_of), (all_of, None, all_of), (all_of, "force", None)):
                    if (one := self.went(model, rules, op, outcome, posted, ways)) is not None:
                        tried.append(one)
            self.agrees(tried)

        def went(
            self, model: Any, rules: Rules, op: Op | None, outcome: Any, posted: Counter[str], steps: tuple[Any, ...]
        ) -> Any:
            """The model after these steps, `None` being what was asked; None where that came of it otherwise."""
            one, figures = model.copy(), Counter[str]()
            for step in steps:
                if step is None:
                    if op is not None and one.apply(op) != outcome:
                        return None
                elif step == "force":
                    one.rules = rules
                else:
                    figures += step(one)
            one.rules = rules
            return one if figures == posted else None

        def recomputed_again(self, rules: Rules, *, nothing: bool) -> None:
            posted = wait(self.here.post(wait(self.here.publish(rules)), 1))
            assert not nothing or not +posted
            figures = [(model, model.recompute(rules, self.here.order, model.written)) for model in self.models]
            self.agrees([model for model, came in figures if came == posted])

        def teardown(self) -> None:
            """Some of what was paid is taken back by hand, then all is recomputed; a second run posts nothing."""
            if self.here is not None and self.models:
                paid = [h for h, e in self.models[0].entries.items() if isinstance(h, Line) and e.left]
                for line in paid[::2]:
                    op = Op("reverse", next(self.handles), about=line, amount=1)
                    self.came(wait(self.here.run(op, self.here.replicas[0])), op)
                for nothing in (False, True):
                    self.recomputed_again({"talk": 1, "long": 2}, nothing=nothing)
            super().teardown()

    return Recomputed


@pytest.fixture
async def attacked(make_database: MakeDatabase, tmp_path: Path) -> Make:
    numbers = count(1)

    async def make(clawback: str) -> Attacked:
        clock = Ticking(BEGINNING)
        db = await make_database("rewards")
        db.clock = clock
        place = await make_place(db, 0)
        guild = Guild(db, place.id, [])
        guild.members = [guild.member(name) for name in NAMES]
        for name in NAMES:
            await guild.know(name)
        await change_unit(guild, clawback=clawback)
        await guild.publish(*drafted(BEFORE))
        return Scored(guild, replica(db, clock), clock, tmp_path / str(next(numbers)))

    return make


async def run(attacked: Make, examples: int, *, same: bool) -> None:
    await asyncio.to_thread(
        run_state_machine_as_test,
        with_rules(asyncio.get_running_loop(), attacked),
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None, derandomize=same),
    )


async def test_the_ledger_is_what_the_model_says_whatever_rules_are_run_over_the_past(
    attacked: Make, engine: str
) -> None:
    """The same few histories every time: an example takes seconds, and other ones are looked for by the long run."""
    await run(attacked, 6 if engine == "sqlite" else 2, same=True)


@pytest.mark.soak
async def test_it_is_so_in_many_more_histories(attacked: Make, engine: str) -> None:
    await run(attacked, 100 if engine == "sqlite" else 20, same=False)
