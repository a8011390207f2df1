"""Whatever is written, liked, un-liked and deleted, in whatever order it arrives: a model knows the end."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.consumer import NotYet
from kit.contracts.events import Activity
from kit.database import Database
from services.rewards.handlers.boards import USUAL_PERIODS
from tests.rewards.boards.support import page, ranked
from tests.rewards.boards.test_exactness import expected
from tests.rewards.guild import Guild, make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.undoing.support import LIKED, POST, consume, delete, explained, minute, post, react, unreact
from tests.support.databases import MakeDatabase

PEOPLE = ("ann", "bob", "cy")
AUTHORS = {"m0": "ann", "m1": "bob", "m2": "cy", "m3": "ann"}
SUBJECTS = sorted(AUTHORS)


@dataclass(frozen=True)
class Step:
    """What happens at a minute; `by` and `kind` matter for reactions."""

    what: str
    subject: str
    by: str
    kind: str
    minute: int


_step = st.builds(
    Step,
    what=st.sampled_from(["post", "react", "react", "unreact", "recall", "delete"]),
    subject=st.sampled_from(SUBJECTS),
    by=st.sampled_from(PEOPLE),
    kind=st.sampled_from(["heart", "star"]),
    minute=st.integers(0, 8),
)

steps_apart = st.lists(_step, min_size=2, max_size=14).map(
    lambda steps: [replace(step, minute=number) for number, step in enumerate(steps)]
)
"""No two at the same time: where the order of arrival is to decide nothing."""


def act(guild: Guild, step: Step) -> Activity:
    author, at = AUTHORS[step.subject], minute(step.minute)
    if step.what == "post":
        return post(guild, step.subject, author, at)
    if step.what == "react":
        return react(guild, step.subject, step.by, at, of=author, kind=step.kind)
    if step.what == "unreact":
        return unreact(guild, step.subject, step.by, at, kind=step.kind)
    if step.what == "recall":
        return delete(guild, step.subject, author, at, type="message.recalled")
    return delete(guild, step.subject, "mod", at)


def model(steps: list[Step], most_likes: int | None = None) -> Counter[str]:
    """What everybody has in the end. `steps` in the order of arrival; with `most_likes` amounts a member and day."""
    gone = {s.subject for s in steps if s.what in ("recall", "delete")}
    has: Counter[str] = Counter()
    used: Counter[str] = Counter()
    for number, s in enumerate(steps):
        author = AUTHORS[s.subject]
        if s.what == "post" and s.subject not in gone:
            has[author] += 3
        elif s.what == "react" and s.by != author:
            paid = 2 if most_likes is None else min(2, most_likes - used[author])
            used[author] += paid
            taken = any(
                r.what == "unreact"
                and (r.subject, r.by, r.kind) == (s.subject, s.by, s.kind)
                and (r.minute, n) > (s.minute, number)
                for n, r in enumerate(steps)
            )
            if s.subject not in gone and not taken:
                has[author] += paid
    return has


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


async def check(guild: Guild, wanted: Counter[str]) -> None:
    for name in PEOPLE:
        assert await guild.has(name) == wanted[name] == await explained(guild, name), name
    await check_books(guild.db)
    for kind in USUAL_PERIODS:
        for key, scores in (await expected(guild, kind)).items():
            lines = await page(guild, "xp", kind, key)
            found = [(line.rank, line.member_id, line.score, line.reached_at) for line in lines.items]
            assert found == ranked(scores, "competition")


@settings(max_examples=30)
@given(data=st.data(), steps=st.lists(_step, min_size=1, max_size=14))
@pytest.mark.parametrize("most", [None, 5], ids=["no limit", "a limit"])
async def test_the_end_is_the_model_s_in_any_order_and_batches_with_everything_told_twice(
    db: Database, most: int | None, data: st.DataObject, steps: list[Step]
) -> None:
    guild = await make_guild(db)
    await guild.publish(POST, LIKED if most is None else {**LIKED, "caps": [{"limit": most}]})
    acts = [act(guild, step) for step in steps]
    repeats = data.draw(st.lists(st.integers(0, len(acts) - 1), max_size=5))
    arriving = [*acts, *(acts[n] for n in repeats)]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(arriving)), max_size=5)))
    for start, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True):
        if arriving[start:end]:
            await consume(guild, *arriving[start:end])
    await check(guild, model(steps, most))


@settings(max_examples=30)
@given(data=st.data(), steps=st.lists(_step, min_size=2, max_size=10))
async def test_when_the_inverse_events_come_does_not_matter(
    db: Database, data: st.DataObject, steps: list[Step]
) -> None:
    """The others stay in their order, so that the same of them meet the limit."""
    apart = [Step(s.what, s.subject, s.by, s.kind, n) for n, s in enumerate(steps)]
    ordinary = [s for s in apart if s.what in ("post", "react")]
    inverse = [s for s in apart if s not in ordinary]
    ends = []
    for _ in range(2):
        arriving = list(ordinary)
        for step in data.draw(st.permutations(inverse)):
            arriving.insert(data.draw(st.integers(0, len(arriving))), step)
        guild = await make_guild(db)
        await guild.publish({**POST, "caps": [{"limit": 5}]}, {**LIKED, "caps": [{"limit": 5}]})
        for step in arriving:
            await consume(guild, act(guild, step))
        ends.append({name: await guild.has(name) for name in PEOPLE})
    assert ends[0] == ends[1]


async def parallel(guild: Guild, *batches: list[Activity]) -> None:
    """Batches handled at once, each again while it has to wait for news (as the consumer does)."""

    async def one(batch: list[Activity]) -> None:
        while True:
            try:
                return await consume(guild, *batch)
            except NotYet:
                await asyncio.sleep(0)

    await asyncio.gather(*map(one, batches))


@settings(max_examples=25)
@given(data=st.data(), steps=st.lists(_step, min_size=2, max_size=14))
async def test_two_handlers_at_once_come_to_the_model_s_end(
    db: Database, data: st.DataObject, steps: list[Step]
) -> None:
    # Times apart: between two handlers there is no order of arrival.
    apart = [Step(s.what, s.subject, s.by, s.kind, n) for n, s in enumerate(data.draw(st.permutations(steps)))]
    guild = await make_guild(db)
    await guild.publish(POST, LIKED)
    acts = data.draw(st.permutations([act(guild, step) for step in apart]))
    half = data.draw(st.integers(0, len(acts)))
    first, second = acts[:half], acts[half:]
    repeated = data.draw(st.sampled_from(acts))
    await parallel(guild, *(some for some in (first, [*second, repeated]) if some))
    await check(guild, model(apart))


async def test_many_writers_undo_and_pay_the_same_things_and_nobody_waits_in_a_circle(db: Database) -> None:
    guild = await make_guild(db)
    await guild.publish(POST, LIKED)
    dice = random.Random(5)
    kinds = ("post", "react", "react", "react", "unreact", "unreact", "delete", "recall")
    steps = [
        Step(dice.choice(kinds), dice.choice(SUBJECTS[:3] if n % 9 else SUBJECTS), dice.choice(PEOPLE),
             dice.choice(("heart", "star")), n)
        for n in range(400)
    ]  # fmt: skip
    steps = [s for s in steps if s.what not in ("delete", "recall") or s.subject == "m3"]
    acts: list[Any] = [act(guild, step) for step in steps]
    dice.shuffle(acts)
    batches = [acts[n : n + 10] for n in range(0, len(acts), 10)]
    await asyncio.wait_for(parallel(guild, *batches), 120)
    await check(guild, model(steps))
