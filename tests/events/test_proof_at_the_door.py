"""What the door sees of a check-in and keeps to itself: code words and positions."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from kit.code_words import code_word
from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.events import Activity
from kit.contracts.rewards import CheckinSeriesChanged, Place
from services.events.proof import Asked, metres, proved
from services.events.proof import Place as Circle
from tests.events.support import Events, at, event, on_the_log
from tests.events.test_commands import connected, message, post

SECRET = "s" * 40
HERE = {"latitude": 31.2304, "longitude": 121.4737}


def series(community_id: UUID, **fields: Any) -> CheckinSeriesChanged:
    made = CheckinSeriesChanged(
        community_id=community_id,
        series_id="gym",
        version=2,
        on=("checkin.submitted",),
        enabled=True,
        code_word="en",
        place=None,
    )
    return replace(made, **fields)


def word(community_id: UUID, day: date, series_id: str = "gym") -> str:
    return code_word(SECRET, community_id, series_id, day, "en")


def checkin(**fields: Any) -> dict[str, Any]:
    return event(type="checkin.submitted", **fields)


async def sent(events: Events) -> list[Activity]:
    await events.settle()
    told = [e for e in await on_the_log(events.log, ACTIVITY_TOPIC) if isinstance(e, Activity)]
    return [e for e in told if e.type == "checkin.submitted"]


async def test_the_word_of_a_day_is_told_on_as_that_day_and_never_as_the_word(events: Events) -> None:
    place, today = events.place, events.clock().date()
    await events.hear(series(place.id))
    spoken, tomorrows = word(place.id, today), word(place.id, today + timedelta(days=1))
    await place.post(checkin(data={"text": f"Ran five km, {spoken.upper()}!"}), checkin(data={"code": spoken}))
    await place.post(checkin(data={"text": f"{spoken} or {tomorrows}"}), checkin(data={"text": "Ran five km"}))
    yesterday = word(place.id, today - timedelta(days=1))
    await place.post(checkin(time=at(events.clock, hours=-24), data={"text": yesterday}))
    days = [a.data.get("proved", {}).get("gym", {}).get("days") for a in await sent(events)]
    is_today, is_tomorrow = today.isoformat(), (today + timedelta(days=1)).isoformat()
    assert days == [[is_today], [is_today], [is_today, is_tomorrow], None, [(today - timedelta(days=1)).isoformat()]]
    for a in await sent(events):
        assert not {"text", "code"} & a.data.keys()
        assert spoken not in str(a).casefold()
    assert (await sent(events))[0].data["length"] == 14 + len(spoken)


async def test_what_only_the_server_says_is_dropped_where_somebody_else_says_it(events: Events) -> None:
    place, today = events.place, events.clock().date().isoformat()
    forged = {"proved": {"gym": {"days": [today], "inside": True}}}
    await place.post(checkin(data=forged), event(data=forged))
    await events.hear(series(place.id))
    await place.post(checkin(data=forged), checkin(data={**forged, "code": "maple47"}))
    assert ["proved" in a.data for a in await sent(events)] == [False, False, False]
    assert not [e for e in await place.timeline() if "proved" in e["data"]]


async def test_a_community_that_asks_for_nothing_keeps_its_data_as_it_is(events: Events) -> None:
    other = await events.new_place()
    await events.hear(series(other.id), series(events.place.id, code_word=None))
    await events.hear(series(other.id, version=3, enabled=False), series(other.id, version=1))
    for place in (events.place, other):
        await place.post(checkin(data={"code": "spring sale", "position": 7}))
        await place.post(event(data={"code": "spring sale"}))
    assert [a.data["code"] for a in await sent(events)] == ["spring sale"] * 2
    assert [a.data["position"] for a in await sent(events)] == [7, 7]


async def test_a_position_goes_no_further_than_whether_it_is_within_the_place(events: Events) -> None:
    place = events.place
    gym = Place(HERE["latitude"], HERE["longitude"], 200)
    await events.hear(series(place.id, code_word=None, place=gym))
    near, far = {**HERE, "latitude": 31.2313}, {**HERE, "latitude": 31.2404}
    for position in (near, far, "here", {"latitude": 91, "longitude": 0}, None):
        await place.post(checkin(data={"position": position}))
    told = await sent(events)
    assert [a.data.get("proved") for a in told] == [{"gym": {"inside": True}}, {"gym": {"inside": False}}, *[None] * 3]
    assert not any("position" in a.data or "31.23" in str(a) for a in told)


async def test_a_flood_stays_one_and_what_is_refused_is_refused_beside_a_code_word(events: Events) -> None:
    place, today = events.place, events.clock().date()
    await events.hear(series(place.id))
    good = checkin(data={"code": word(place.id, today), "actor": "qq:77"})
    answer = await place.post({**checkin(), "specversion": "2"}, good, checkin(data={"actor": "nobody"}))
    assert [one["status"] for one in answer["results"]] == ["rejected", "accepted", "rejected"]
    [told] = await sent(events)
    assert (told.actor, told.data["proved"]) == ("qq:77", {"gym": {"days": [today.isoformat()]}})


async def test_in_chat_a_word_behind_the_command_is_seen_and_what_else_stands_there_is_not_kept(events: Events) -> None:
    place = await events.new_place("connections:write", "events:read", "events:write")
    await events.hear(series(place.id, code_word="zh"))
    today, made = events.clock().date(), await connected(place)
    said = code_word(SECRET, place.id, "gym", today, "zh")
    for number, text in enumerate([f"/checkin marmalade {said}", f"打卡 {said}", "/checkin marmalade"]):
        reply = await post(place, made, message(text, events.clock().timestamp(), 20 + number))
        assert reply.status_code == 204
    told = await sent(events)
    days = {"gym": {"days": [today.isoformat()]}}
    assert [a.data.get("proved") for a in told] == [days, days, None]
    assert [a.data["via"] for a in told] == ["command"] * 3
    assert not any("marmalade" in str(a) or said in str(a) for a in told)


@pytest.mark.parametrize("hours", [-12, -3, 0, 9, 14])
@pytest.mark.parametrize("day_start", [0, 240, 1439])
def test_the_days_that_are_looked_at_are_those_of_every_zone(hours: int, day_start: int) -> None:
    asked = (Asked("gym", (), "en", None),)
    for hour in range(24):
        now = datetime(2026, 11, 23, hour, 30, tzinfo=UTC)
        local = (now + timedelta(hours=hours) - timedelta(minutes=day_start)).date()
        found = proved({"code": word(UUID(int=1), local)}, now, asked, UUID(int=1), SECRET)
        assert found == {"gym": {"days": [local.isoformat()]}}


def test_distances_are_those_on_the_earth() -> None:
    assert 1_060_000 < metres((31.2304, 121.4737), (39.9042, 116.4074)) < 1_075_000
    assert metres((0, 179.999), (0, -179.999)) < 250
    assert proved({"position": HERE}, datetime.now(UTC), (Asked("a", (), None, Circle(**HERE, radius_m=20)),),
                  UUID(int=1), SECRET) == {"a": {"inside": True}}  # fmt: skip
