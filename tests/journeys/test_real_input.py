"""Recorded communities through HTTP, as history, with the starter rules: the books equal the oracle's to the point."""

import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from services.events.importers import client
from services.events.importers.lines import Good, Line
from tests.journeys.books import Books, assert_equal, member_id, read_books, stored_once, table
from tests.journeys.data import activities_of
from tests.support import oracle
from tests.support.platform import App

SETTLE_SECONDS = 300.0


async def post(app: App, activities: list[dict[str, Any]], *, name: str, batch: int, lanes: int = 1) -> client.Outcome:
    """In the order given, one batch after the other; with more lanes, several at a time."""
    lines: Iterator[Line] = (Good(number, event) for number, event in enumerate(activities, 1))
    options = client.Options(batch=batch, lanes=lanes)
    return await client.post(app.client, app.api_key, lines, name=name, options=options)


async def books_of(app: App) -> Books:
    return await read_books(app.runtime.services["rewards"].db, app.community)


async def stored_rows(app: App) -> list[Any]:
    db = app.runtime.services["events"].db
    activities = table(db, "activities")
    columns = select(activities.c.source, activities.c.source_id, activities.c.import_name, activities.c.effective_at)
    async with db.read() as tx:
        return await tx.all(columns.where(activities.c.community_id == app.community))


async def board_over_http(app: App, kind: str, key: str) -> dict[UUID, tuple[int, int]]:
    """Every page of a board: member → (rank, score)."""
    places: dict[UUID, tuple[int, int]] = {}
    cursor: str | None = None
    while True:
        query = {"period": kind, "key": key, "limit": "200", **({"cursor": cursor} if cursor else {})}
        page = (await app.client.get("/v1/boards/xp", params=query)).raise_for_status().json()
        for item in page["items"]:
            places[UUID(item["member_id"])] = (item["rank"], item["score"])
        cursor = page["next"]
        if cursor is None:
            return places


async def run_twice(platform: App, name: str) -> None:
    activities = activities_of(name)
    answer = oracle.score(activities)

    outcome = await post(platform, activities, name=name, batch=100)
    await platform.settle(SETTLE_SECONDS)
    assert outcome.progress.accepted + len(outcome.problems) == len(activities)
    refused = {problem.id for problem in outcome.problems}
    assert all(problem.code and problem.message for problem in outcome.problems)
    rows = await stored_rows(platform)
    stored_once(rows, [activity for activity in activities if activity["id"] not in refused])
    assert {row.import_name for row in rows} == {name}
    assert refused == set()
    books = await books_of(platform)
    assert_equal(books, answer, platform.community)

    # Again: shuffled, in batches of seven, a third of the batches twice.
    again = list(activities)
    dice = random.Random(3)
    dice.shuffle(again)
    batches = [again[start : start + 7] for start in range(0, len(again), 7)]
    twice = [batch for batch in batches for _ in range(2 if dice.random() < 1 / 3 else 1)]
    repeated = await post(platform, [activity for batch in twice for activity in batch], name=name, batch=7, lanes=8)
    await platform.settle(SETTLE_SECONDS)
    assert repeated.progress.rejected == 0
    assert await books_of(platform) == books
    assert sorted(await stored_rows(platform)) == sorted(rows)


@pytest.mark.parametrize("name", ["small-chat", "checkin-programme"])
async def test_a_recorded_community_gives_the_oracles_books_and_sending_it_again_changes_nothing(
    platform: App, name: str
) -> None:
    await run_twice(platform, name)


async def test_a_recorded_site_of_questions_gives_them_too(app: App) -> None:
    await run_twice(app, "qa-site")


@pytest.mark.soak
async def test_a_recorded_site_of_questions_gives_them_on_every_engine(platform: App) -> None:
    await run_twice(platform, "qa-site")


async def test_shuffled_from_the_start_the_sums_are_the_same(platform: App) -> None:
    activities = list(activities_of("qa-site"))[:6000]
    random.Random(5).shuffle(activities)
    await post(platform, activities, name="shuffled", batch=100)
    await platform.settle(SETTLE_SECONDS)
    assert_equal(await books_of(platform), oracle.score(activities), platform.community)


async def test_what_the_api_shows_is_what_the_books_say(app: App) -> None:
    activities = activities_of("small-chat")
    answer = oracle.score(activities)
    await post(app, activities, name="small", batch=100)
    await app.settle(SETTLE_SECONDS)
    for kind, key in answer.scores:
        wanted = {member_id(app.community, name): place for name, place in answer.board(kind, key).items()}
        assert await board_over_http(app, kind, key) == wanted
    for name, points in answer.balances.items():
        shown = (await app.client.get(f"/v1/levels/members/{member_id(app.community, name)}")).raise_for_status().json()
        assert (shown["level"], shown["balance"]) == (answer.level(name), points)
    told = (await app.client.get("/v1/imports/small")).raise_for_status().json()
    assert (told["stored"], told["rejected"]) == (len(activities), 0)
    messages = (await app.client.get("/v1/messages", params={"limit": "200"})).raise_for_status().json()
    assert messages["items"] == [], "history notifies nobody"
