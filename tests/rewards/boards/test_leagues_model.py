"""Leagues against a plain model of what the page says: whoever scores, comes late, leaves the board or comes back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.rewards.domain.leagues import DEMOTE, STAY
from services.rewards.handlers.absences import Change, change
from services.rewards.store.shown import BY_MEMBER, EVERY_BOARD
from services.rewards.tables.leagues import league_tiers
from tests.rewards.boards.test_finalising import AT_LAST, finalize, set_clock
from tests.rewards.boards.test_leagues import HOUR, MONDAY, WEEK, league, play, start, table
from tests.rewards.ledger.support import Place, make_place
from tests.support.databases import MakeDatabase

MEMBERS, TIERS = 9, 3
KEYS = "2026-W49", "2026-W50", "2026-W51"


@dataclass(slots=True)
class Week:
    """`seats` by tier, in the order in which places were taken; `lines` by member: score, and when it was reached."""

    drawn: bool
    seats: list[list[int]] = field(default_factory=lambda: [[] for _ in range(TIERS)])
    lines: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    first: dict[int, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class Model:
    """Everybody begins in the lowest tier."""

    size: int
    promote: int
    demote: int
    idle_go_down: bool
    tier: list[int] = field(default_factory=lambda: [0] * MEMBERS)
    away: set[int] = field(default_factory=set)
    weeks: list[Week] = field(default_factory=lambda: [Week(drawn=True)])

    def score(self, week: int, grants: list[tuple[int, int, datetime]]) -> None:
        """One batch: of those who are new, who scored first takes the next place."""
        while len(self.weeks) <= week:
            self.weeks.append(Week(drawn=False))
        this = self.weeks[week]
        for who, amount, at in grants:
            score, reached = this.lines.get(who, (0, at))
            this.lines[who] = score + amount, max(reached, at)
            this.first[who] = min(this.first.get(who, at), at)
        if this.drawn:
            self.seat(this, {who for who, _, _ in grants})

    def seat(self, week: Week, some: set[int]) -> None:
        sitting = {who for seats in week.seats for who in seats}
        for who in sorted(some - sitting - self.away, key=lambda who: week.first[who]):
            week.seats[self.tier[who]].append(who)

    def comes(self, who: int) -> None:
        self.away.discard(who)
        for week in self.weeks[-2:]:
            if week.drawn and who in week.lines:
                self.seat(week, {who})

    def divisions(self, number: int) -> list[list[list[int]]]:
        """By tier, as they are shown: the best first, without who is away."""
        week = self.weeks[number]

        def order(who: int) -> tuple[int, datetime]:
            return -week.lines[who][0], week.lines[who][1]

        return [
            [
                sorted((who for who in seats[n : n + self.size] if who not in self.away), key=order)
                for n in range(0, len(seats), self.size)
            ]
            for seats in week.seats
        ]

    def ends(self, number: int) -> None:
        """The week is final; the next one's divisions are drawn."""
        week = self.weeks[number]
        played = {who for seats in week.seats for who in seats}
        for tier, divisions in enumerate(self.divisions(number)):
            for division in divisions:
                most = len(division) // 2
                for who in division[: min(self.promote, most)]:
                    self.tier[who] += week.lines[who][0] > 0 and tier < TIERS - 1
                for who in division[len(division) - min(self.demote, most) :]:
                    self.tier[who] -= tier > 0
        if played and self.idle_go_down:
            for who in set(range(MEMBERS)) - played:
                self.tier[who] = max(0, self.tier[who] - 1)
        if len(self.weeks) == number + 1:
            self.weeks.append(Week(drawn=False))
        after = self.weeks[number + 1]
        after.drawn = True
        self.seat(after, set(after.lines))


_who = st.integers(0, MEMBERS - 1)
_batch = st.lists(st.tuples(_who, st.sampled_from([1, 2, 3, 5, 8, -2])), min_size=1, max_size=6)
_step = _batch | _batch | st.tuples(_who, st.booleans())
_steps = st.lists(_step, max_size=5)
"""A batch of grants, or somebody who leaves the board (True) or comes back."""
_week = st.tuples(_steps, _steps)
"""What happens while the week runs, and until it is final, when some of it is of the next one."""


async def tiers_of(place: Place) -> list[int]:
    """As they are kept: who is on no board is shown none."""
    async with place.db.read() as tx:
        rows = {r.member_id: r.tier for r in await tx.all(select(league_tiers))}
    return [rows.get(member, 0) for member in place.members]


async def step(place: Place, model: Model, one: Any, weeks: list[int], moments: Iterator[int]) -> None:
    if isinstance(one, tuple):
        who, goes = one
        (model.away.add if goes else model.comes)(who)
        async with place.db.begin() as tx:
            await change(tx, place.id, [Change(place.members[who], EVERY_BOARD, BY_MEMBER, goes, "", "")])
    else:
        for week in weeks:
            # Of two weeks every second grant each; their times are never the same.
            some = one[week - weeks[0] :: len(weeks)]
            begins = MONDAY + week * WEEK + timedelta(minutes=1)
            grants = [(who, amount, begins + next(moments) * timedelta(seconds=7)) for who, amount in some]
            if grants:
                await place.give(*[place.grant(place.members[who], amount, at) for who, amount, at in grants])
                model.score(week, grants)
    await play(place)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    weeks=st.lists(_week, min_size=2, max_size=3),
    sizes=st.sampled_from([(2, 1, 1), (3, 1, 1), (4, 2, 1), (4, 1, 2), (5, 2, 3)]),
    idle=st.sampled_from([DEMOTE, STAY]),
)
async def test_places_divisions_and_tiers_are_what_the_page_says(
    make_database: MakeDatabase, weeks: list[Any], sizes: tuple[int, int, int], idle: str
) -> None:
    place = await make_place(await make_database("rewards"), MEMBERS)
    set_clock(place, MONDAY - 24 * HOUR)
    size, promote, demote = sizes
    await start(place, league(size, promote, demote, inactive=idle))
    model, moments = Model(size, promote, demote, idle == DEMOTE), count()
    for number, (running, grace) in enumerate(weeks):
        for one in running:
            await step(place, model, one, [number], moments)
        set_clock(place, MONDAY + (number + 1) * WEEK + 10 * HOUR)
        for one in grace:
            await step(place, model, one, [number, number + 1], moments)
        if model.weeks[number].lines:
            assert _full(await table(place, KEYS[number])) == _full(model.divisions(number))
        set_clock(place, AT_LAST + (number + 1) * WEEK)
        await finalize(place)
        await play(place)
        await play(place)
        model.ends(number)
        assert await tiers_of(place) == model.tier


def _full(divisions: list[list[list[int]]]) -> list[list[list[int]]]:
    """Without those in which nobody is shown."""
    return [[one for one in tier if one] for tier in divisions]
