"""Boards against a plain model that keeps grants in a list and counts everybody anew: pages in both directions, around
everybody at every edge, ranks, totals, part of a board, members by name, and days added up; by each tie policy.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rewards.domain.boards import TIE_POLICIES
from services.rewards.handlers import narrowing, ranking
from services.rewards.handlers.absences import Change, change
from services.rewards.handlers.adjusting import reverse
from services.rewards.handlers.ranking import Asked, Lines
from services.rewards.store.narrowing import GROUP, PLATFORM, Label, add_labels
from services.rewards.store.shown import BY_MEMBER, EVERY_BOARD
from tests.rewards.boards.support import make_board, ranked
from tests.rewards.ledger.support import NOON, Place, make_place
from tests.support.databases import MakeDatabase

MEMBERS, HOUR = 7, timedelta(hours=1)
ROLLING_DAYS = 3
TEAM, ABROAD = (GROUP, "qq:1"), (PLATFORM, "qq")
LABELS: dict[int, tuple[Label, ...]] = {0: (TEAM,), 1: (TEAM, ABROAD), 2: (ABROAD,), 4: (TEAM, ABROAD), 5: (TEAM,)}

_who = st.integers(0, MEMBERS - 1)
# Few amounts and times, so that many tie.
_grant = st.tuples(st.just("grant"), _who, st.sampled_from([1, 2, 2, 3, -1, 300]), st.integers(0, 120))
_take = st.tuples(st.just("take"), st.integers(0, 40), st.none() | st.just(1))
_away = st.tuples(st.just("away"), _who, st.booleans())
_steps = st.lists(_grant | _grant | _grant | _take | _away, min_size=1, max_size=25)


@dataclass
class Given:
    member: int
    amount: int
    at: datetime
    transaction: UUID
    taken: int = 0

    @property
    def left(self) -> int:
        return self.amount - self.taken if self.amount > 0 else self.amount + self.taken

    @property
    def stands(self) -> bool:
        return self.taken < abs(self.amount)


@dataclass
class Model:
    given: list[Given] = field(default_factory=list)
    away: set[int] = field(default_factory=set)

    def lines(
        self,
        place: Place,
        policy: str,
        since: datetime,
        labels: tuple[Label, ...],
        among: Iterable[int] = range(MEMBERS),
    ) -> list[Any]:
        """(rank, member, score, reached_at), best first."""
        scores = []
        for member in among:
            mine = [g for g in self.given if g.member == member and g.at >= since]
            stand = [g.at for g in mine if g.stands]
            if stand and member not in self.away and set(labels) <= set(LABELS.get(member, ())):
                scores.append((sum(g.left for g in mine), max(stand), place.members[member]))
        return ranked(scores, policy)


async def play(place: Place, steps: list[Any], model: Model | None = None) -> Model:
    """Carry the steps out, and note in the model (a new one) what they come to."""
    model = model or Model()
    for step in steps:
        if step[0] == "grant":
            _, member, amount, hours = step
            at = NOON - hours * HOUR
            ((_, id),) = (await place.give(place.grant(place.members[member], amount, at))).items()
            model.given.append(Given(member, amount, at, id))
        elif step[0] == "take" and model.given:
            one = model.given[step[1] % len(model.given)]
            rest = abs(one.amount) - one.taken
            if rest:
                async with place.db.begin() as tx:
                    await reverse(tx, place.id, one.transaction, amount=step[2], reason="r", actor="operator:o")
                one.taken += step[2] or rest
        elif step[0] == "away":
            async with place.db.begin() as tx:
                told = Change(place.members[step[1]], EVERY_BOARD, BY_MEMBER, step[2], "", "")
                await change(tx, place.id, [told])
            (model.away.add if step[2] else model.away.discard)(step[1])
    return model


@dataclass
class Reader:
    """One way of reading a board: a period by its histogram, or part of it, or days."""

    place: Place
    board: str
    kind: str
    labels: tuple[Label, ...] | None
    among: frozenset[UUID] | None = None

    async def page(self, limit: int, **more: Any) -> Lines:
        asked = Asked(self.place.id, self.board, self.kind)
        if self.labels is None:
            return await ranking.page(self.place.db, asked, limit, **more)
        more |= {"days": ROLLING_DAYS, "among": self.among}
        return await narrowing.page(self.place.db, asked, self.labels, limit, **more)

    async def around(self, member: UUID, above: int, below: int) -> Lines:
        asked = Asked(self.place.id, self.board, self.kind)
        if self.labels is None:
            return await ranking.around(self.place.db, asked, member, above, below)
        more: dict[str, Any] = {"days": ROLLING_DAYS, "among": self.among}
        return await narrowing.around(self.place.db, asked, self.labels, member, above, below, **more)


def told(lines: Lines) -> list[Any]:
    return [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items]


async def check(reader: Reader, wanted: list[Any], size: int) -> None:
    """Forwards and back in pages of `size`, and around everybody."""
    forwards, backwards = [], []
    lines = await reader.page(size)
    while True:
        assert lines.total == len(wanted)
        forwards += told(lines)
        if not lines.below:
            break
        lines = await reader.page(size, after=lines.items[-1].position)
    assert forwards == wanted
    if not wanted:
        return
    while True:
        backwards = told(lines) + backwards
        assert lines.above == (lines.items[0].position != (wanted[0][2], wanted[0][3], wanted[0][1]))
        if not lines.above:
            break
        lines = await reader.page(size, before=lines.items[0].position)
    assert backwards == wanted
    for number, line in enumerate(wanted):
        for above, below in ((size, 0), (1, size), (0, 0)):
            near = await reader.around(line[1], above, below)
            assert told(near) == wanted[max(0, number - above) : number + below + 1]
            assert (near.above, near.below) == (number > above, number + below + 1 < len(wanted))
        me = (await reader.page(1, member=line[1])).me
        assert me is not None
        assert (me.rank, me.score, me.reached_at) == (line[0], line[2], line[3])


@pytest.fixture
async def home(make_database: MakeDatabase) -> Place:
    return await make_place(await make_database("rewards"))


async def prepared(home: Place, policy: str) -> Place:
    place = await make_place(home.db, MEMBERS)
    await make_board(place, policy=policy, periods=("all", "day", "week"))
    async with place.db.begin() as tx:
        since = {(place.id, label, place.members[n]): 0 for n, some in LABELS.items() for label in some}
        await add_labels(tx, since)
    return place


@settings(max_examples=20)
@given(policy=st.sampled_from(TIE_POLICIES), steps=_steps, size=st.integers(1, 4), friends=st.sets(_who, min_size=1))
async def test_every_period_and_part_reads_as_the_model_says_in_both_directions_and_around_everybody(
    home: Place, policy: str, steps: list[Any], size: int, friends: set[int]
) -> None:
    place = await prepared(home, policy)
    model = await play(place, steps)
    for kind, since in (("all", NOON - 999 * HOUR), ("day", NOON - 12 * HOUR), ("week", NOON - 12 * HOUR)):
        # The 23rd is a Monday: the week begins with the day.
        await check(Reader(place, "b", kind, None), model.lines(place, policy, since, ()), size)
    for kind, since in (("all", NOON - 999 * HOUR), ("rolling", NOON - 60 * HOUR)):
        for labels in ((), (TEAM,), (TEAM, ABROAD)):
            await check(Reader(place, "b", kind, labels), model.lines(place, policy, since, labels), size)
        named = frozenset(place.members[n] for n in friends)
        for labels in ((), (TEAM, ABROAD)):
            wanted = model.lines(place, policy, since, labels, friends)
            await check(Reader(place, "b", kind, labels, named), wanted, size)
