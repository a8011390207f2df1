"""Check-in series and streaks over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from tests.rewards.guild import MORNING, make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.serving import Rewards

SERIES = {"id": "reading", "name": "Reading", "on": ["page.read"]}


async def check_in(rewards: Rewards, *days_ago: int, by: str = "ann") -> None:
    guild = rewards.guild
    acts = [
        guild.act("checkin.submitted", by, MORNING - timedelta(days=n), import_name="old", late=timedelta(days=n))
        for n in days_ago
    ]
    await guild.score(*acts)


def place(rewards: Rewards, more: str = "", name: str = "ann") -> str:
    return f"/v1/checkins/daily/members/{rewards.guild.member(name)}{more}"


async def points(rewards: Rewards, amount: int) -> None:
    guild = rewards.guild
    await guild.give(guild.grant(guild.member("ann"), amount))


async def test_every_community_begins_with_a_daily_series(rewards: Rewards) -> None:
    [daily] = (await rewards.get("/v1/checkins"))["items"]
    assert (daily["id"], daily["on"], daily["schedule"], daily["version"]) == (
        "daily", ["checkin.submitted"], {"kind": "daily"}, 1,
    )  # fmt: skip
    assert (daily["scope"], daily["asked_since"]) == ("community", None)


@pytest.mark.parametrize(
    "schedule",
    [
        {"kind": "daily"},
        {"kind": "weekdays", "weekdays": [1, 5]},
        {"kind": "per_week", "times": 5, "week_begins": 3},
        {"kind": "every", "every": 3, "first": "2026-11-23"},
        {"kind": "weeks_of_month", "weeks": [1, 3], "weekdays": [5]},
    ],
)
async def test_a_series_reads_as_it_was_written(rewards: Rewards, schedule: dict[str, Any]) -> None:
    made = await rewards.client.post("/v1/checkins", json={**SERIES, "schedule": schedule, "scope": "member"})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.json()["schedule"] == schedule
    assert await rewards.get("/v1/checkins/reading") == made.json()
    assert [one["id"] for one in (await rewards.get("/v1/checkins"))["items"]] == ["daily", "reading"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"when": "event.data.pages >"}, "expression_invalid"),
        ({"when": "streak.current"}, "expression_invalid"),
        ({"freeze": {"unit": "gold"}}, "unit_unknown"),
        ({"repair": {"unit": "xp"}}, "unit_not_spendable"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_its_place(
    rewards: Rewards, wrong: dict[str, Any], code: str
) -> None:
    reply = await rewards.client.post("/v1/checkins", json={**SERIES, **wrong})
    assert (reply.status_code, reply.json()["code"]) == (422, "checkin_invalid")
    assert [error["code"] for error in reply.json()["errors"]] == [code]


async def test_a_change_is_a_version_and_who_was_slower_is_told(rewards: Rewards) -> None:
    assert await rewards.refused("POST", "/v1/checkins", json={**SERIES, "id": "daily"}) == (409, "checkin_exists")
    change = {"schedule": {"kind": "weekdays", "weekdays": [1]}, "when": "event.data.bot != true"}
    changed = await rewards.client.patch("/v1/checkins/daily", json=change, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    # The day after the one that has begun first anywhere on earth.
    assert changed.json()["asked_since"] == "2026-11-24"
    again = await rewards.client.patch("/v1/checkins/daily", json={"when": None}, headers={"If-Match": '"1"'})
    assert again.status_code == 412
    same = await rewards.client.patch("/v1/checkins/daily", json={"name": "Daily check-in"})
    assert same.json()["version"] == 2
    assert (await rewards.client.patch("/v1/checkins/daily", json={"when": None})).json()["when"] is None
    assert await rewards.refused("PATCH", "/v1/checkins/daily", json={"scope": "member"}) == (422, "validation_failed")
    assert await rewards.refused("PATCH", "/v1/checkins/none", json={}) == (404, "checkin_unknown")


async def test_a_streak_shows_its_days_what_is_open_and_what_can_be_mended(rewards: Rewards) -> None:
    await check_in(rewards, 5, 4, 2)
    body = await rewards.get(place(rewards))
    assert (body["today"], body["zone"], body["day_ends_at"]) == ("2026-11-23", "UTC", "2026-11-24T00:00:00Z")
    assert (body["current"], body["longest"], body["days"], body["last_day"]) == (0, 2, 3, "2026-11-21")
    assert body["status"] == "open"
    assert [(day["day"][-2:], day["status"]) for day in body["calendar"]] == [
        ("18", "done"), ("19", "done"), ("20", "missed"), ("21", "done"), ("22", "missed"), ("23", "open"),
    ]  # fmt: skip
    assert body["calendar"][0]["event_id"] is not None
    assert body["repairs"] == {"left": 3, "days": ["2026-11-20", "2026-11-22"], "price": 30, "unit": "points"}
    assert (await rewards.get(place(rewards), month="2026-10"))["calendar"] == []
    assert (await rewards.get(place(rewards), month="2026-10"))["current"] == 0


async def test_somebody_without_a_check_in_has_an_empty_streak(rewards: Rewards) -> None:
    await rewards.guild.know("bob")
    body = await rewards.get(place(rewards, name="bob"))
    assert (body["current"], body["status"], body["calendar"], body["last_day"]) == (0, None, [], None)
    assert await rewards.refused("GET", place(rewards, name="nobody")) == (404, "member_unknown")


async def test_a_member_repairs_their_own_day_once_and_pays_for_it(rewards: Rewards) -> None:
    await check_in(rewards, 3, 2)
    ann, path = await rewards.member("ann"), place(rewards, "/repair")
    before = (await rewards.get(place(rewards)))["repairs"]["left"]
    poor = await ann.post(path, json={"day": "2026-11-22"})
    assert (poor.status_code, poor.json()["code"]) == (422, "insufficient")
    await points(rewards, 100)
    had = await rewards.guild.has("ann", "points")
    done = await ann.post(path, json={"day": "2026-11-22"}, headers={"Idempotency-Key": "1"})
    again = await ann.post(path, json={"day": "2026-11-22"}, headers={"Idempotency-Key": "1"})
    assert done.json() == again.json()
    assert (done.json()["current"], done.json()["repairs"]["left"], before) == (3, 2, 3)
    assert await rewards.guild.has("ann", "points") == had - 30
    second = await ann.post(path, json={"day": "2026-11-22"})
    assert (second.status_code, second.json()["code"], second.json()["status_of_day"]) == (
        409, "day_not_missed", "repaired",
    )  # fmt: skip
    rewards.clock.advance(timedelta(days=30))
    assert (await rewards.get(place(rewards)))["longest"] == 3
    await check_books(rewards.guild.db)


async def test_a_day_is_repaired_in_time_and_so_many_times_a_month(rewards: Rewards) -> None:
    await points(rewards, 1000)
    await check_in(rewards, 9, 2)
    path = place(rewards, "/repair")
    assert await rewards.refused("POST", path, json={"day": "2026-11-19"}) == (409, "repair_too_late")
    assert await rewards.refused("POST", path, json={"day": "2026-11-24"}) == (422, "in_the_future")
    assert await rewards.refused("POST", path, json={"day": "2026-11-01"}) == (409, "day_not_missed")
    change = {"repair": {"within_days": 5, "per_month": 2, "price": 0}}
    assert (await rewards.client.patch("/v1/checkins/daily", json=change)).status_code == 200
    for day in ("2026-11-20", "2026-11-22"):
        assert (await rewards.client.post(path, json={"day": day})).status_code == 200
    assert await rewards.refused("POST", path, json={"day": "2026-11-19"}) == (409, "repairs_used_up")
    assert (await rewards.get(place(rewards)))["current"] == 3


async def test_freezes_are_bought_ahead_up_to_what_can_be_held(rewards: Rewards) -> None:
    await points(rewards, 50)
    await check_in(rewards, 1)
    had, path = await rewards.guild.has("ann", "points"), place(rewards, "/freezes")
    for held in (1, 2):
        reply = await rewards.client.post(path)
        assert (reply.status_code, reply.json()["freezes"]["held"]) == (201, held)
    assert await rewards.refused("POST", path) == (409, "freezes_full")
    assert await rewards.guild.has("ann", "points") == had - 40
    assert await rewards.guild.has("ann", "freezes") == 2
    rewards.clock.advance(timedelta(days=2))
    body = await rewards.get(place(rewards))
    assert (body["current"], body["freezes"]["held"]) == (1, 0)
    change = {"freeze": {"price": None}}
    assert (await rewards.client.patch("/v1/checkins/daily", json=change)).status_code == 200
    assert await rewards.refused("POST", path) == (409, "freeze_not_for_sale")


async def test_nothing_but_check_ins_posts_freezes(rewards: Rewards) -> None:
    by_hand = {"identity": "qq:ann", "unit": "freezes", "amount": 1, "reason": "a present"}
    assert await rewards.refused("POST", "/v1/entries", json=by_hand) == (422, "unit_follows")
    await points(rewards, 50)
    await check_in(rewards, 1)
    assert (await rewards.client.post(place(rewards, "/freezes"))).status_code == 201
    assert await rewards.refused("POST", "/v1/entries", json=by_hand) == (422, "unit_follows")
    batch = (await rewards.client.post("/v1/entries/batch", json={"items": [by_hand]})).json()["items"]
    assert [item["problem"]["code"] for item in batch] == ["unit_follows"]
    held = {"identity": "qq:ann", "unit": "freezes", "amount": 1, "reason": "a ticket", "timeout_seconds": 60}
    assert await rewards.refused("POST", "/v1/entries/holds", json=held) == (422, "unit_follows")
    member = str(rewards.guild.member("ann"))
    (bought,) = (await rewards.get("/v1/entries", member=member, unit="freezes"))["items"]
    back = await rewards.refused("POST", f"/v1/entries/{bought['id']}/reversals", json={"reason": "changed my mind"})
    assert back == (422, "unit_follows")
    prize = {"prizes": [{"period": "week", "unit": "freezes", "amount": 1, "rank_from": 1, "rank_to": 1}]}
    assert await rewards.refused("PUT", "/v1/boards/xp/prizes", json=prize) == (422, "prize_invalid")
    assert await rewards.guild.has("ann", "freezes") == (await rewards.get(place(rewards)))["freezes"]["held"] == 1


@pytest.mark.parametrize("there", [False, True])
async def test_of_freezes_only_the_name_is_the_communitys(rewards: Rewards, there: bool) -> None:
    if there:
        await points(rewards, 50)
        assert (await rewards.client.post(place(rewards, "/freezes"))).status_code == 201
    terms = {"name": "Snowflakes", "spendable": False}
    others = (
        {"spendable": True},
        {"expires_after_days": 30},
        {"minimum": 1},
        {"clawback": "refuse"},
        {"approval_above": 1},
    )
    for other in others:
        reply = await rewards.client.put("/v1/units/freezes", json={**terms, **other})
        assert (reply.status_code, reply.json()["code"]) == (422, "unit_follows")
        assert [error["pointer"] for error in reply.json()["errors"]] == [f"/{name}" for name in other]
    made = await rewards.client.put("/v1/units/freezes", json=terms)
    assert (made.status_code, made.json()["name"]) == (200 if there else 201, "Snowflakes")


async def test_a_pause_is_for_days_to_come_one_at_a_time_and_ends_early(rewards: Rewards) -> None:
    await check_in(rewards, 1)
    path = place(rewards, "/pause")
    assert await rewards.refused("POST", path, json={"days": 15}) == (422, "pause_too_long")
    assert await rewards.refused("POST", path, json={"first_day": "2026-11-22", "days": 2}) == (422, "day_over")
    ann = await rewards.member("ann")
    reply = await ann.post(path, json={"days": 14})
    assert (reply.status_code, reply.json()["pause"]) == (
        201, {"first_day": "2026-11-23", "last_day": "2026-12-06"},
    )  # fmt: skip
    assert reply.json()["status"] == "paused"
    assert await rewards.refused("POST", path, json={"days": 1}) == (409, "pause_running")
    rewards.clock.advance(timedelta(days=3))
    # The token was for an hour.
    ended = await (await rewards.member("ann")).delete(path)
    assert (ended.status_code, ended.json()["pause"], ended.json()["status"]) == (200, None, "open")
    assert ended.json()["current"] == 1
    assert (await rewards.client.delete(path)).status_code == 200
    assert await rewards.refused("POST", path, json={"days": 1}) == (409, "pause_again")


async def test_an_operator_sets_days_that_are_not_to_come_with_a_reason(rewards: Rewards) -> None:
    await check_in(rewards, 3)
    path = place(rewards, "/days")
    day = {"day": "2026-11-21", "kind": "done", "reason": "The bot was away"}
    assert (await rewards.client.post(path, json=day)).status_code == 201
    assert (await rewards.client.post(path, json=day)).status_code == 200
    first = {**day, "day": "2026-11-20"}
    already = await rewards.client.post(path, json=first)
    [original] = [one for one in already.json()["calendar"] if one["day"] == "2026-11-20"]
    assert (already.status_code, original["event_id"] is not None) == (200, True)
    assert original["at"] == "2026-11-20T08:00:00Z"
    rewards.clock.advance(timedelta(days=30))
    already = await rewards.client.post(path, json=first)
    assert (already.status_code, original in already.json()["calendar"]) == (200, True), (
        "of the day's month, not today's"
    )
    rewards.clock.advance(timedelta(days=-30))
    excused = await rewards.client.post(path, json={**day, "day": "2026-11-22", "kind": "excused"})
    assert (excused.json()["current"], excused.json()["status"]) == (2, "open")
    undone = await rewards.client.post(path, json={**day, "kind": "undone"})
    assert undone.json()["current"] == 0
    assert await rewards.refused("POST", path, json={**day, "day": "2026-11-24"}) == (422, "in_the_future")
    assert await rewards.refused("POST", path, json={**day, "reason": ""}) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("method", "more", "body"),
    [
        ("GET", "", None),
        ("POST", "/repair", {"day": "2026-11-22"}),
        ("POST", "/freezes", None),
        ("POST", "/pause", {"days": 1}),
        ("DELETE", "/pause", None),
    ],
)
async def test_a_member_acts_for_nobody_else_and_sets_no_days(
    rewards: Rewards, method: str, more: str, body: dict[str, Any] | None
) -> None:
    bob = await rewards.member("bob")
    reply = await bob.request(method, place(rewards, more), json=body)
    assert (reply.status_code, reply.json()["code"]) == (403, "not_yours")
    day = {"day": "2026-11-22", "kind": "done", "reason": "me"}
    assert (await bob.post(place(rewards, "/days", "bob"), json=day)).status_code == 403
    assert (await bob.post("/v1/checkins", json=SERIES)).status_code == 403


async def test_another_communitys_key_sees_neither_series_nor_streaks(rewards: Rewards) -> None:
    await check_in(rewards, 1)
    await rewards.client.post("/v1/checkins", json=SERIES)
    other = await make_guild(rewards.guild.db)
    key = await rewards.key("rewards:read", "rewards:write", guild=other)
    assert [one["id"] for one in (await key.get("/v1/checkins")).json()["items"]] == ["daily"]
    assert (await key.get("/v1/checkins/reading")).status_code == 404
    reply = await key.get(place(rewards))
    assert (reply.status_code, reply.json()["code"]) == (404, "member_unknown")


PROGRAMME = {"first_day": "2026-11-16", "last_day": "2026-11-29", "absences": 1, "per_days": None}


async def test_a_programme_reads_as_it_was_written_and_its_table_shows_who_failed(rewards: Rewards) -> None:
    body = {**SERIES, "on": ["checkin.submitted"], "programme": {**PROGRAMME, "joins_on": ["course.joined"]}}
    made = await rewards.client.post("/v1/checkins", json=body)
    assert made.json()["programme"] == {**PROGRAMME, "joins_on": ["course.joined"], "joins_when": None}
    await check_in(rewards, 7, 6, 5, 4, 3, 2, 1, 0)
    await check_in(rewards, 6, 2, by="bob")
    table = (await rewards.get("/v1/checkins/reading/members"))["items"]
    shown = {one["member_id"]: (one["programme"]["standing"], one["programme"]["failed_on"]) for one in table}
    guild = rewards.guild
    assert shown == {
        str(guild.member("ann")): ("running", None),
        str(guild.member("bob")): ("failed", "2026-11-18"),
    }
    [ann] = [one for one in table if one["member_id"] == str(guild.member("ann"))]
    assert (ann["days"], ann["programme"]["perfect"], ann["programme"]["absences_left"]) == (8, True, 1)
    assert next(iter(ann["statuses"])) == "2026-11-16"
    alone = await rewards.get(f"/v1/checkins/reading/members/{guild.member('bob')}")
    assert (alone["programme"]["standing"], alone["status"]) == ("failed", "over")


async def test_a_table_is_read_in_pages_and_between_days(rewards: Rewards) -> None:
    for name in ("ann", "bob", "cy"):
        await check_in(rewards, 40, 1, by=name)
    path = "/v1/checkins/daily/members"
    first = await rewards.get(path, limit=2)
    second = await rewards.get(path, limit=2, cursor=first["next"])
    assert (len(first["items"]), len(second["items"]), second["next"]) == (2, 1, None)
    assert len({one["member_id"] for one in first["items"] + second["items"]}) == 3
    assert len(first["items"][0]["statuses"]) == 31
    few = (await rewards.get(path, **{"from": "2026-10-14", "to": "2026-10-15"}))["items"]
    assert few[0]["statuses"] == {"2026-10-14": "done", "2026-10-15": "missed"}
    for wrong in ("from=2026-10-15&to=2026-10-14", "from=2025-10-14&to=2026-10-15"):
        answer = await rewards.client.get(f"{path}?{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "days_invalid")


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"last_day": "2026-11-15"}, "/programme/last_day"),
        ({"last_day": "2027-11-29"}, "/programme/last_day"),
        ({"joins_when": "event.data.course =="}, "/programme/joins_when"),
    ],
)
async def test_a_programme_that_cannot_be_says_what_is_wrong(rewards: Rewards, wrong: dict[str, Any], at: str) -> None:
    answer = await rewards.client.post("/v1/checkins", json={**SERIES, "programme": {**PROGRAMME, **wrong}})
    assert (answer.status_code, answer.json()["code"]) == (422, "checkin_invalid")
    assert [one["pointer"] for one in answer.json()["errors"]] == [at]


async def test_a_programme_that_began_is_what_it_is(rewards: Rewards) -> None:
    made = await rewards.client.post("/v1/checkins", json={**SERIES, "programme": PROGRAMME})
    assert made.status_code == 201
    for change, code in (({**PROGRAMME, "absences": 5}, "programme_begun"), (PROGRAMME, None)):
        answer = await rewards.client.patch("/v1/checkins/reading", json={"programme": change})
        assert answer.json().get("code") == code
    answer = await rewards.client.patch("/v1/checkins/daily", json={"programme": PROGRAMME})
    assert (answer.status_code, answer.json()["code"]) == (409, "programme_fixed")


async def test_a_member_token_sees_no_table(rewards: Rewards) -> None:
    client = await rewards.member("ann")
    assert (await client.get("/v1/checkins/daily/members")).status_code == 403
