"""Seasons, prizes, past periods and who is kept off a board, over HTTP."""

import asyncio
from datetime import timedelta

import pytest

from services.rewards.api.boards import BoardPage, DecayOut
from services.rewards.handlers.finalising import finalize_some
from tests.rewards.boards.test_finalising import AT_LAST
from tests.rewards.serving import Rewards


async def test_past_periods_say_what_they_came_to_page_by_page(rewards: Rewards) -> None:

    guild = rewards.guild
    ann = guild.member("ann")
    for day in range(3):
        await guild.give(guild.grant(ann, 5, AT_LAST - timedelta(days=2 + day, hours=1), unit="xp"))
    rewards.clock.advance(AT_LAST - timedelta(hours=1) - rewards.clock())
    await finalize_some(guild.db, rewards.clock(), asyncio.Event())
    first = await rewards.get("/v1/boards/xp/periods", period="day", limit=2)
    second = await rewards.get("/v1/boards/xp/periods", period="day", limit=2, cursor=first["next"])
    items = [*first["items"], *second["items"]]
    told = [(one["key"], one["state"], one["members"]) for one in items]
    assert told == [
        ("2026-11-29", "running", None), ("2026-11-28", "finalized", 1), ("2026-11-27", "finalized", 1),
    ]  # fmt: skip
    assert second["next"] is None
    shown = await rewards.get("/v1/boards/xp", period="day", key="2026-11-28")
    assert shown["period"]["hash"] == items[1]["hash"] != items[2]["hash"]
    assert [one["state"] for one in (await rewards.get("/v1/boards/xp/periods", period="all"))["items"]] == ["open"]
    assert await rewards.refused("GET", "/v1/boards/xp/periods?period=quarter") == (404, "period_not_kept")
    assert await rewards.refused("GET", "/v1/boards/xp/periods?cursor=WyJuIiwgMV0") == (400, "cursor_invalid")


async def test_a_season_is_put_once_and_stays_as_it_is(rewards: Rewards) -> None:
    made = {"id": "s", "name": "Seasons", "unit": "xp", "periods": ["season"], "late_grace_hours": 1}
    board = (await rewards.client.post("/v1/boards", json=made)).json()
    assert (board["late_grace_hours"], board["since"], board["seasons"]) == (1, "2026-11-23", [])
    days = {"first_day": "2026-11-01", "last_day": "2026-11-30"}
    statuses = [(await rewards.client.put("/v1/boards/s/seasons/one", json=days)).status_code for _ in range(2)]
    assert statuses == [201, 200]
    shown = {one["id"]: one for one in (await rewards.get("/v1/boards"))["items"]}
    assert shown["s"]["seasons"] == [{"key": "one", **days}]
    again = {"json": {**days, "last_day": "2026-12-31"}}
    assert await rewards.refused("PUT", "/v1/boards/s/seasons/one", **again) == (409, "season_taken")
    assert await rewards.refused("GET", "/v1/boards/s?period=season&key=two") == (404, "no_season")
    assert (await rewards.get("/v1/boards/s", period="season"))["period"]["end"] == "2026-12-01T00:00:00Z"


async def test_prizes_are_put_and_shown(rewards: Rewards) -> None:
    prizes = [{"period": "week", "rank_from": 1, "rank_to": 3, "unit": "points", "amount": 50}]
    reply = await rewards.client.put("/v1/boards/xp/prizes", json={"prizes": prizes})
    assert (reply.status_code, reply.json()["prizes"]) == (200, prizes)
    wrong = {"json": {"prizes": [{**prizes[0], "unit": "gold"}]}}
    assert await rewards.refused("PUT", "/v1/boards/xp/prizes", **wrong) == (422, "prize_invalid")
    shown = {one["id"]: one for one in (await rewards.get("/v1/boards"))["items"]}
    assert shown["xp"]["prizes"] == prizes


async def test_staff_is_kept_off_a_board_and_let_onto_it_again(rewards: Rewards) -> None:
    guild = rewards.guild
    ann, bob = guild.member("ann"), guild.member("bob")
    await guild.give(guild.grant(ann, 5, unit="xp"), guild.grant(bob, 3, unit="xp"))
    path = f"/v1/boards/xp/excluded/{ann}"
    assert (await rewards.client.put(path, json={"reason": "Staff"})).status_code == 204
    (one,) = (await rewards.get("/v1/boards/xp/excluded"))["items"]
    assert (one["member_id"], one["reason"]) == (str(ann), "Staff")
    assert [line["member_id"] for line in (await rewards.get("/v1/boards/xp"))["items"]] == [str(bob)]
    assert (await rewards.get(f"/v1/accounts/{ann}/boards"))["excluded_from"] == ["xp"]
    assert [(await rewards.client.delete(path)).status_code for _ in range(2)] == [204, 204]
    assert (await rewards.get("/v1/boards/xp"))["total"] == 2
    stranger = f"/v1/boards/xp/excluded/{guild.member('nobody')}"
    assert await rewards.refused("PUT", stranger, json={"reason": "x"}) == (404, "member_unknown")
    member = await rewards.member("bob")
    assert (await member.put(path, json={"reason": "x"})).status_code == 403


@pytest.mark.parametrize("path", ["/v1/boards/xp?limit=201", "/v1/boards/xp?period=rolling&days=367"])
async def test_nobody_asks_for_too_much_at_once(rewards: Rewards, path: str) -> None:
    assert await rewards.refused("GET", path) == (422, "validation_failed")


async def test_a_board_says_that_it_decays_and_reads_as_what_is_left(rewards: Rewards) -> None:
    guild = rewards.guild
    ann = guild.member("ann")
    await guild.give(guild.grant(ann, 100, rewards.clock() - timedelta(days=1), unit="xp"))
    assert await rewards.refused("GET", "/v1/boards/xp?period=decay") == (404, "period_not_kept")
    for wrong in (9, 99, "90%"):
        body = {"decay": {"keep_percent_per_day": wrong}}
        assert (await rewards.refused("PUT", "/v1/boards/xp/decay", json=body))[0] == 422
    reply = await rewards.client.put("/v1/boards/xp/decay", json={"decay": {"keep_percent_per_day": 90}})
    assert reply.json()["decay"] == {"keep_percent_per_day": 90, "day": "2026-11-23"}
    page = BoardPage.model_validate(await rewards.get("/v1/boards/xp", period="decay", member=str(ann)))
    assert page.me is not None
    assert (page.me.score, page.period.kind, page.period.key, page.board.decay) == (
        90, "decay", "2026-11-23", DecayOut.model_validate(reply.json()["decay"]),
    )  # fmt: skip
    near = await rewards.get(f"/v1/boards/xp/around/{ann}", period="decay")
    assert (near["items"][0]["score"], near["next_reset_at"]) == (90, "2026-11-24T00:00:00Z")
    assert (await rewards.get("/v1/boards/xp"))["items"][0]["score"] == 100
    reply = await rewards.client.put("/v1/boards/xp/decay", json={"decay": None})
    assert reply.json()["decay"] is None
    made = {"id": "w", "name": "Weeks", "unit": "xp", "periods": ["week"]}
    assert (await rewards.client.post("/v1/boards", json=made)).status_code == 201
    body = {"decay": {"keep_percent_per_day": 90}}
    assert await rewards.refused("PUT", "/v1/boards/w/decay", json=body) == (422, "days_not_kept")
