"""A real check-in programme, configured through the API as its operators would, gives its published final table.

Its rules, in the words of the data's README: a day is done when its section has more than ten characters; two absences
are allowed in each seven days from the first, the third fails. Ten characters were counted raw by the programme's own
bot, so that a picture's link is more than ten; ours see visible characters and pictures apart.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from kit.contracts import identity_member_id
from services.events.importers import client
from services.events.importers.lines import Good, Line
from tests.journeys.data import FOLDER, activities_of, path_of
from tests.support.platform import App

FIRST, LAST = date(2025, 8, 4), date(2025, 8, 29)
WRITTEN = "(has(event.data.length) && event.data.length > 10) || (has(event.data.images) && event.data.images > 0)"
LETTERS = {"done": "d", "missed": "m", "failed": "f", "over": "b"}

COUNTED_RAW = [
    "m000007", "m000027", "m000028", "m000029", "m000048", "m000070", "m000088", "m000105",
    "m000121", "m000156", "m000171", "m000185", "m000197", "m000224", "m000273", "m000307",
    "m000376", "m000377", "m000414",
]  # fmt: skip
"""Sections of at most ten visible characters that the bot counted as done, all from 2025-08-22 on."""
OVERLOOKED = ["m000045", "m000092", "m000209", "m000286", "m000364"]
"""Sections of hundreds of characters, made on their day, that the bot marked as missed."""
BY_HAND = ["m000467"]
"""A row without a file, put there by hand; nobody who joined."""

Table = dict[str, str]


def published() -> Table:
    """Member → a letter a day."""
    path_of("checkin-programme")
    with gzip.open(FOLDER / "checkin-programme" / "final_table.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["member"]: "".join(status[0] for status in row["days"].values()) for row in rows}


def shifted(text: str, days: int) -> str:
    return (datetime.fromisoformat(text) + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def told(cohort: str, days: int) -> Iterator[dict[str, Any]]:
    """The programme's events as a bot of this cohort would have told them: other people, `days` later."""
    for event in activities_of("checkin-programme"):
        data = dict(event["data"])
        name = data["actor"].removeprefix("trace:")
        data["actor"] = f"{cohort}:{name}"
        out = {**event, "time": shifted(event["time"], days), "source": f"/{cohort}", "data": data}
        if "for_date" in data:
            data["for_date"] = (date.fromisoformat(data["for_date"]) + timedelta(days=days)).isoformat()
            out["subject"] = f"{name}:{data['for_date']}"
        if event["type"] == "checkin.removed":
            out["type"] = "checkin.voided"
        yield out


def zone_of(joined: dict[str, Any]) -> str:
    """The zone of the offset that somebody declared on joining; the programme's where none is named."""
    minutes = joined["data"].get("tz_minutes")
    hours = (480 if minutes is None else minutes) // 60
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


def configuration(cohort: str, days: int, when: str = WRITTEN) -> dict[str, Any]:
    return {
        "id": cohort, "name": "Daily notes", "on": ["checkin.submitted", "checkin.updated"], "when": when,
        "scope": "member", "date_field": "for_date", "outage_hours": None,
        "freeze": {"price": None, "max_held": 0}, "repair": {"within_days": 0},
        "programme": {
            "first_day": str(FIRST + timedelta(days)), "last_day": str(LAST + timedelta(days)),
            "absences": 2, "per_days": 7,
            "joins_on": ["member.joined"], "joins_when": f'event.actor.startsWith("{cohort}:")',
        },
    }  # fmt: skip


async def post(app: App, path: str, body: dict[str, Any]) -> Any:
    answer = await app.client.post(path, json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def run(app: App, cohort: str, days: int, when: str = WRITTEN) -> dict[str, UUID]:
    """The cohort's people with their zones, its series, and all that they did; who is who."""
    await post(app, "/v1/checkins", configuration(cohort, days, when))
    events = list(told(cohort, days))
    ids = {}
    for joined in [event for event in events if event["type"] == "member.joined"]:
        name = joined["data"]["actor"].partition(":")[2]
        identity = {"platform": cohort, "external_id": name}
        body = {"display_name": name, "zone": zone_of(joined), "identity": identity}
        ids[name] = UUID((await post(app, "/v1/members", body))["id"])
    await app.settle()
    lines: Iterator[Line] = (Good(number, event) for number, event in enumerate(events, 1))
    outcome = await client.post(app.client, app.api_key, lines, name=cohort, options=client.Options(batch=500))
    assert (outcome.progress.accepted, outcome.problems) == (len(events), ())
    await app.settle(300)
    return ids


async def table(app: App, cohort: str, ids: dict[str, UUID]) -> tuple[Table, dict[str, dict[str, Any]]]:
    """Every page of the series' table: the letters and the standings of who is in it."""
    names = {id: name for name, id in ids.items()}
    letters: Table = {}
    standings: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    while True:
        query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = (await app.client.get(f"/v1/checkins/{cohort}/members", params=query)).raise_for_status().json()
        for item in page["items"]:
            name = names[UUID(item["member_id"])]
            letters[name] = "".join(LETTERS[status] for status in item["statuses"].values())
            standings[name] = item["programme"]
        cursor = page["next"]
        if cursor is None:
            return letters, standings


def differing(mine: Table, theirs: Table) -> list[str]:
    return sorted(name for name in theirs if mine.get(name) != theirs[name])


async def test_the_written_rules_give_the_published_table_to_another_cohort_too_and_operators_the_rest(
    app: App,
) -> None:
    theirs = published()
    ids = await run(app, "summer", 0)
    mine, standings = await table(app, "summer", ids)
    assert len(mine) == 466
    different = differing(mine, theirs)
    assert different == sorted([*COUNTED_RAW, *OVERLOOKED, *BY_HAND])
    assert len(theirs) - len(different) == 442
    failed = {name for name, letters in theirs.items() if "f" in letters}
    perfect = {name for name, letters in theirs.items() if set(letters) == {"d"}}
    assert (len(failed), len(perfect)) == (363, 13)
    assert failed <= {name for name, one in standings.items() if one["standing"] == "failed"}
    assert perfect - {"m000197"} == {name for name, one in standings.items() if one["perfect"]}

    # The same configuration for other people beside them, at other dates: 211 days earlier the clocks of some countries
    # change within it, and its first day is a Sunday.
    others = await run(app, "other", -211)
    assert not set(ids.values()) & set(others.values())
    assert set(others.values()) == {identity_member_id(app.community, f"other:{name}") for name in others}
    second, again = await table(app, "other", others)
    assert second == mine == (await table(app, "summer", ids))[0]
    assert [one["standing"] for one in standings.values()] == [again[name]["standing"] for name in standings]

    # What the bot counted otherwise, an operator says so day by day, with a reason.
    for name in (*COUNTED_RAW, *OVERLOOKED):
        await correct(app, "summer", ids[name], theirs[name])
    mine, standings = await table(app, "summer", ids)
    assert differing(mine, theirs) == BY_HAND
    assert {name for name, one in standings.items() if one["failed_on"]} == failed
    assert {name for name, one in standings.items() if one["perfect"]} == perfect
    assert {one["standing"] for one in standings.values()} == {"failed", "passed"}


async def correct(app: App, cohort: str, member: UUID, wanted: str) -> None:
    """Each day that an operator saw otherwise, until who failed is out: days after that are never looked at."""
    path = f"/v1/checkins/{cohort}/members/{member}"
    shown = (await app.client.get(path, params={"month": "2025-08"})).raise_for_status().json()
    done = {day["day"]: day["event_id"] is not None for day in shown["calendar"]}
    for n, letter in enumerate(wanted):
        day = str(FIRST + timedelta(n))
        if letter != "b" and done[day] != (letter == "d"):
            kind = "done" if letter == "d" else "undone"
            await post(app, f"{path}/days", {"day": day, "kind": kind, "reason": "as the programme's bot counted it"})


async def test_the_condition_that_the_bot_went_by_from_the_third_week_on_gives_all_but_eight_rows(app: App) -> None:
    when = f'{WRITTEN} || event.data.for_date >= "2025-08-22"'
    theirs = published()
    mine, standings = await table(app, "summer", await run(app, "summer", 0, when))
    assert differing(mine, theirs) == sorted([*OVERLOOKED, *BY_HAND, "m000099", "m000263"])
    assert sum(one["perfect"] for one in standings.values()) == 13
    assert sum(one["standing"] == "failed" for one in standings.values()) == 362
