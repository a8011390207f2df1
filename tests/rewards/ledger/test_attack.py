"""The ledger under attack: anything in any order, twice, killed between two statements, from two replicas at once, and
always what an independent model says. (There are no transfers between members; other rules over what was come into
it in `tests/rewards/plans/test_attack.py`.)"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, select

from kit.database import Database
from kit.errors import GuildhallError
from services.rewards.domain.ledger import digest
from services.rewards.handlers import adjusting, holds
from services.rewards.handlers.erasing.running import AGAIN_AFTER, erase_some
from services.rewards.handlers.expiring import expire_some
from services.rewards.handlers.holds import Wanted, release_some
from services.rewards.handlers.ledger import post_grants, verify
from services.rewards.handlers.sealing import seal_some, verify_chains
from services.rewards.handlers.unit_days import add_up_some
from services.rewards.tables.ledger import accounts, entries
from services.rewards.tables.lots import holds as held_table
from services.rewards.tables.lots import lots
from tests.rewards.erasing.support import hear
from tests.rewards.ledger.killing import Killed, died, killing, replica
from tests.rewards.ledger.model import ACCEPTED, DUPLICATE, Model, Op, either
from tests.rewards.ledger.support import Place, change_unit, make_place, wish
from tests.rewards.ledger.test_unit_days import check_sums
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

BEGINNING = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


Done = tuple[str, dict[Hashable, UUID]]
"""What came of it, and which entry each handle is."""


class Attacked:
    """A community on two replicas, and what each thing that is asked of it does there."""

    def __init__(self, place: Place, other: Database, clock: ManualClock) -> None:
        self.place, self.clock = place, clock
        self.replicas = place.db, other
        self.ids: dict[Hashable, UUID] = {}
        self.again: set[UUID] = set()

    async def run(self, op: Op, db: Database) -> str:
        """Do it in a transaction of its own; what came of it. What it made is known by its handle."""
        try:
            async with db.begin() as tx:
                outcome, made = await getattr(self, f"_{op.what}")(tx, op)
        except GuildhallError as error:
            return error.code
        if outcome == ACCEPTED:
            self.ids |= made
        else:
            self.again |= set(made.values())
        return str(outcome)

    async def _grants(self, tx: Any, op: Op) -> Done:
        grants = []
        for one in op.batch:
            at = self.clock.now - timedelta(days=one.ago)
            made = self.place.grant(self.place.members[one.member], one.amount, at, key=one.key)
            grants.append(made._replace(idem_key=digest(one.key or one.handle)))
        posted = await post_grants(tx, grants, history={})
        handles: dict[Hashable, UUID] = {}
        for one in op.batch:
            if (key := digest(one.key or one.handle)) in posted:
                handles[one.handle] = posted.pop(key)
        return ACCEPTED, handles

    async def _by_hand(self, tx: Any, op: Op, kind: str, **more: Any) -> Done:
        at = self.clock.now - timedelta(days=op.ago) if op.ago else None
        wanted = wish(self.place.members[op.member], op.amount, kind=kind, key=op.key, effective_at=at, **more)
        outcome = await adjusting.post_one(tx, self.place.id, wanted, "operator:o")
        assert outcome.id is not None
        return outcome.status, {op.handle: outcome.id}

    async def _adjust(self, tx: Any, op: Op) -> Done:
        return await self._by_hand(tx, op, "adjustment", allow_negative=op.forced)

    async def _spend(self, tx: Any, op: Op) -> Done:
        return await self._by_hand(tx, op, "spend")

    async def _hold(self, tx: Any, op: Op) -> Done:
        wanted = Wanted(self.place.members[op.member], "points", -op.amount, "because", op.seconds, op.key)
        row, new = await holds.hold(tx, self.place.id, wanted, "operator:o")
        return ACCEPTED if new else DUPLICATE, {op.handle: row.id}

    async def _reverse(self, tx: Any, op: Op) -> Done:
        more = {"amount": op.amount or None, "reason": "because", "actor": "operator:o"}
        await adjusting.reverse(tx, self.place.id, self.ids[op.about], **more)
        return ACCEPTED, {}

    async def _capture(self, tx: Any, op: Op) -> Done:
        more = {"amount": op.amount or None, "actor": "operator:o"}
        row = await holds.capture(tx, self.place.id, self.ids[op.about], **more)
        return ACCEPTED, {op.handle: row.capture_id}

    async def _release(self, tx: Any, op: Op) -> Done:
        await holds.release(tx, self.place.id, self.ids[op.about], actor="operator:o")
        return ACCEPTED, {}

    async def tidy(self, kill_at: int | None) -> None:
        """What the service does by itself, on both replicas at once, after one that died in it."""
        for step in (release_some, expire_some):
            if kill_at is not None:
                with killing(self.replicas[0], kill_at):
                    await died(step(self.replicas[0]))
            while any(await asyncio.gather(*[step(db) for db in self.replicas])):
                pass

    async def erase(self, member: int, kill_at: int | None) -> None:
        """Erase a member on both replicas at once, after one that died in it, and look once more."""
        id = self.place.members[member]
        await hear(self.place, id)
        if kill_at is not None:
            with killing(self.replicas[0], kill_at):
                await died(erase_some(self.replicas[0], asyncio.Event()))
        for _ in range(2):
            while any(await asyncio.gather(*[erase_some(db, asyncio.Event()) for db in self.replicas])):
                pass
            self.clock.advance(AGAIN_AFTER)

    async def seen(self) -> dict[str, Any]:
        """What an observer sees: balances as the sums of entries, which the accounts agree with."""
        here, unit = self.place.id, "points"
        async with self.place.db.read() as tx:
            sums = select(entries.c.owner_id, func.sum(entries.c.amount).label("sum"))
            of_unit = entries.c.community_id == here, entries.c.unit == unit
            replayed = {r.owner_id: int(r.sum) for r in await tx.all(sums.where(*of_unit).group_by(entries.c.owner_id))}
            rows = await tx.all(select(accounts).where(accounts.c.community_id == here, accounts.c.unit == unit))
            kept = await tx.all(select(lots).where(lots.c.community_id == here))
            open_ones = held_table.c.community_id == here, held_table.c.state == "open"
            ready = await tx.all(select(held_table).where(*open_ones))
        assert self.again <= set(self.ids.values())
        assert sum(replayed.values()) == 0
        assert {r.owner_id: r.balance for r in rows if r.balance} == {o: n for o, n in replayed.items() if n}
        members = self.place.members
        debts = {r.owner_id: r.debt for r in rows}
        return {
            "members": [
                (replayed.get(m, 0), debts.get(m, 0), sum(r.amount for r in ready if r.member_id == m)) for m in members
            ],
            "lots": [{r.last_day: r.amount for r in kept if r.owner_id == m} for m in members],
            "system": {r.name: r.balance for r in rows if r.system and r.balance},
        }

    async def faults(self) -> list[str]:
        self.clock.advance(timedelta(minutes=1))
        while await seal_some(self.place.db) or await add_up_some(self.place.db):
            pass
        await check_sums(self.place)
        async with self.place.db.read() as tx:
            return [*await verify(tx), *await verify_chains(tx)]


class Asked(NamedTuple):
    """Something to ask for, drawn without a look at what there is: what two replicas do at once may come out in two
    ways, and what is drawn next must not depend on which."""

    what: str
    member: int
    amount: int
    gives: bool
    forced: bool
    key: str | None
    seconds: int
    part: int
    which: int
    batch: list[tuple[int, int, str | None, int]]


ENTRIES = ["grant", "adjustment", "spend", "hold", "capture"]
KINDS = ["grants", "adjust", "spend", "spend", "hold", "reverse", "reverse", "reverse", "capture", "release"]
WHO = st.integers(0, 2)
SOME = st.integers(1, 9)
# A retry says the same: when it happened, too.
KEY = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d"]))
BATCH = st.lists(st.tuples(WHO, st.integers(-4, 9).filter(bool), KEY, st.integers(0, 4)), min_size=1, max_size=4)
ASKED = st.builds(
    Asked,
    what=st.sampled_from(KINDS),
    member=WHO,
    amount=SOME,
    gives=st.booleans(),
    forced=st.booleans(),
    key=KEY,
    seconds=st.sampled_from([3600, 90000, 400000]),
    part=st.one_of(st.just(0), SOME),
    which=st.integers(0, 10**6),
    batch=BATCH,
)
AT = st.integers(1, 14)
MOST_MODELS = 64

Make = Callable[[str], Awaitable[Attacked]]


def machine(loop: asyncio.AbstractEventLoop, make: Make) -> type[RuleBasedStateMachine]:
    """A machine whose steps run on this loop, from another thread."""

    def wait(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    class Attack(RuleBasedStateMachine):
        model: type[Model] = Model

        def __init__(self) -> None:
            super().__init__()
            self.handles = count(1)
            self.here: Any = None

        @initialize(
            clawback=st.sampled_from(["allow_negative", "to_zero_and_record_debt", "refuse"]),
            days=st.sampled_from([None, 5, 5]),
        )
        def begins(self, clawback: str, days: int | None) -> None:
            self.here = wait(make(clawback))
            self.models = [self.model(BEGINNING, clawback)]
            self.another_term(days)
            each = [Op("grant", next(self.handles), member, 3, ago=ago) for member in range(3) for ago in range(4)]
            op = Op("grants", next(self.handles), batch=tuple(each))
            self.came(wait(self.here.run(op, self.here.replicas[0])), op)

        def op(self, asked: Asked) -> Op:
            """What is asked, of what there is."""
            handle, what = next(self.handles), asked.what
            if what == "grants":
                # Whoever scores knows who was erased, and asks the ledger for nothing.
                wanted = [one for one in asked.batch if one[0] not in self.closed()]
                some = [Op("grant", next(self.handles), m, n, k and f"g{k}", ago=ago) for m, n, k, ago in wanted]
                return Op(what, handle, batch=tuple(some))
            if what in ("reverse", "capture", "release"):
                # What took is most of what has been, so that what is taken back was taken from several lots.
                kinds = {"hold"} if what != "reverse" else {"spend", "capture"} if asked.gives else set(ENTRIES)
                among = [h for h, e in self.models[0].entries.items() if e.kind in kinds]
                if among:
                    return Op(what, handle, about=among[asked.which % len(among)], amount=asked.part)
                what = "spend"
            if what == "adjust":
                amount = asked.amount if asked.gives else -asked.amount
                return Op(what, handle, asked.member, amount, asked.key, forced=asked.forced)
            seconds = asked.seconds if what == "hold" else 0
            return Op(what, handle, asked.member, -asked.amount, asked.key, seconds=seconds)

        def agrees(self, tried: list[Model] | None = None) -> None:
            """One of the models says what is seen. Of things done at once the order may show much later only, so there
            may be several until then."""
            seen, made = wait(self.here.seen()), self.here.ids.keys()
            tried = self.models if tried is None else tried
            self.models = []
            for model in tried:
                if model.seen() == seen and model.entries.keys() == made and model not in self.models:
                    self.models.append(model)
            assert self.models, (seen, [m.seen() for m in tried])

        def came(self, outcome: str, op: Op) -> None:
            """This came of it, and one of the models says so."""
            self.agrees([m for m in self.models if m.apply(op) == outcome])

        @rule(asked=ASKED, number=st.integers(0, 1))
        def asks(self, asked: Asked, number: int) -> None:
            op = self.op(asked)
            self.came(wait(self.here.run(op, self.here.replicas[number])), op)

        @rule(asked=ASKED, at=AT)
        def asks_and_dies_and_asks_again(self, asked: Asked, at: int) -> None:
            self.dies(self.op(asked), at)

        def dies(self, op: Op, at: int) -> None:
            db = self.here.replicas[0]

            async def dying() -> str | None:
                with killing(db, at):
                    try:
                        return await self.here.run(op, db)
                    except Killed:
                        return None

            outcome = wait(dying())
            if outcome is None:
                self.agrees()
                outcome = wait(self.here.run(op, self.here.replicas[1]))
            self.came(outcome, op)

        @rule(asked=ASKED)
        def asks_twice_at_once(self, asked: Asked) -> None:
            op = self.op(asked)
            again = Op(**{**op.__dict__, "handle": next(self.handles)})
            if op.what == "grants":
                batch = tuple(Op(**{**one.__dict__, "handle": next(self.handles)}) for one in op.batch)
                again = Op(**{**again.__dict__, "batch": batch})
            self.at_once(op, again)

        @rule(asked=ASKED, besides=ASKED)
        def asks_two_things_at_once(self, asked: Asked, besides: Asked) -> None:
            self.at_once(self.op(asked), self.op(besides))

        def at_once(self, *ops: Op) -> None:
            if len(self.models) * len(ops) > MOST_MODELS:
                # None may be left out, for it may be the right one: what is to be known is seen first.
                for op in ops:
                    self.came(wait(self.here.run(op, self.here.replicas[0])), op)
                return

            async def both() -> list[str]:
                return list(
                    await asyncio.gather(*[self.here.run(o, db) for o, db in zip(ops, self.here.replicas, strict=True)])
                )

            outcomes = wait(both())
            self.agrees([one for model in self.models for one in either(model, ops, outcomes)])

        @rule(hours=st.sampled_from([1, 5, 30, 90]), at=st.one_of(st.none(), AT))
        def time_passes(self, hours: int, at: int | None) -> None:
            self.here.clock.advance(timedelta(hours=hours))
            wait(self.here.tidy(at))
            for model in self.models:
                model.pass_time(hours, self.here.ids)
            self.agrees()

        def closed(self) -> set[int]:
            return {n for n, account in enumerate(self.models[0].people) if account.closed}

        @precondition(lambda self: not self.closed())
        @rule(member=WHO, at=st.one_of(st.none(), AT))
        def somebody_is_erased(self, member: int, at: int | None) -> None:
            wait(self.here.erase(member, at))
            for model in self.models:
                model.erase(member)
                model.now += 2 * AGAIN_AFTER
            self.agrees()

        @rule(days=st.sampled_from([None, 1, 2, 5]))
        def another_term(self, days: int | None) -> None:
            wait(change_unit(self.here.place, expires_after_days=days))
            for model in self.models:
                model.change_term(days)
            self.agrees()

        def teardown(self) -> None:
            if self.here is None:
                return
            assert wait(self.here.faults()) == []
            for db in self.here.replicas:
                wait(db.close())

    return Attack


@pytest.fixture
async def attacked(make_database: MakeDatabase, clock: ManualClock) -> Make:
    """A new community in a database of its own, with this clawback."""

    async def make(clawback: str) -> Attacked:
        clock.now = BEGINNING
        place = await make_place(await make_database("rewards"))
        await change_unit(place, clawback=clawback)
        return Attacked(place, replica(place.db, clock), clock)

    return make


async def test_the_ledger_is_what_the_model_says_whatever_happens_to_it(attacked: Make, engine: str) -> None:
    examples = 30 if engine == "sqlite" else 8
    await asyncio.to_thread(
        run_state_machine_as_test,
        machine(asyncio.get_running_loop(), attacked),
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None),
    )
