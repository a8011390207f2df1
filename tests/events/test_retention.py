"""What stays and what goes (E19): activities after their days, figures never; each activity counts once, on its day."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update

from kit.contracts.members import CommunityChanged
from kit.contracts.rewards import ActivityScored
from services.events import retention
from services.events import tables as t
from tests.events.support import Events, Place, at, event


async def figures(place: Place, **params: str) -> dict[tuple[str, str, str | None], int]:
    items = (await place.get("/v1/events/daily", limit=200, **params))["items"]
    return {(i["day"], i["type"], i["group"]): i["count"] for i in items}


async def purge(events: Events) -> None:
    one = events.runtime.services["events"]
    await retention.purge(one, one.stopping)


async def wishing(events: Events, **wishes: int) -> None:
    owner = await events.new_key(events.place.id, "communities:write")
    assert (await owner.client.put("/v1/events/settings", json=wishes)).status_code == 200


async def test_each_activity_counts_once_on_the_community_s_day_it_belongs_to(events: Events) -> None:
    night = CommunityChanged(
        community_id=events.place.id, version=2, name="Night", zone="Asia/Shanghai", day_start=240, locale="zh",
        state="active",
    )  # fmt: skip
    await events.hear(night)
    # 09:00 UTC is 17:00 in Shanghai, where the day began at 04:00 (20:00 UTC).
    sent = [
        event(id="now"), event(id="again"), event(id="late", time=at(events.clock, hours=-72)),
        event(id="before", time=at(events.clock, hours=-13.5)), event(id="other", data={"group": "qq:7"}),
        event(id="alone", type="poke", data={"group": None}),
    ]  # fmt: skip
    for _ in range(2):
        await events.place.post(*sent)
        await events.settle()
    assert await figures(events.place) == {
        ("2026-11-20", "message.created", "qq:100"): 1,
        ("2026-11-22", "message.created", "qq:100"): 1,
        ("2026-11-23", "message.created", "qq:100"): 2,
        ("2026-11-23", "message.created", "qq:7"): 1,
        ("2026-11-23", "poke", None): 1,
    }


async def test_figures_are_filtered_paged_and_a_community_s_own(events: Events) -> None:
    await events.place.post(*[event(data={"group": f"qq:{n}"}) for n in range(5)], event(type="poke"))
    await events.place.post(event(time=at(events.clock, days=-2)))
    await events.settle()
    assert list((await figures(events.place, type="poke")).values()) == [1]
    assert len(await figures(events.place, group="qq:3")) == 1
    assert len(await figures(events.place, to="2026-11-22")) == 1
    assert len(await figures(events.place, **{"from": "2026-11-22"})) == 6
    cursor, seen = None, []
    while True:
        page = await events.place.get("/v1/events/daily", limit=3, cursor=cursor)
        seen += [(i["day"], i["type"], i["group"]) for i in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert (len(seen), seen) == (7, sorted(seen))
    other = await events.new_place()
    assert await figures(other) == {}
    for wrong in ("eyJ4IjoxfQ", "bm8"):
        assert (await events.place.client.get("/v1/events/daily", params={"cursor": wrong})).status_code == 400


async def test_activities_go_after_their_days_with_what_became_of_them_and_the_figures_stay(events: Events) -> None:
    other = await events.new_place()
    await wishing(events, activity_days=30)
    for id in ("old", "new"):
        for place in (events.place, other):
            await place.post(event(id=id))
        await events.settle()
        events.clock.advance(timedelta(days=29 if id == "old" else 0))
    rows = {row.source_id: row for row in await events.rows("activities") if row.community_id == events.place.id}
    for row in rows.values():
        await events.hear(
            ActivityScored(
                community_id=events.place.id,
                event_id=row.event_id,
                event_type=row.type,
                actor_id=row.actor_id,
                effective_at=row.effective_at,
                history=False,
                decisions=(),
            )
        )
    before = await figures(events.place)
    events.clock.advance(timedelta(days=2))
    await purge(events)
    assert [e["id"] for e in await events.place.timeline()] == ["new"]
    assert len(await other.timeline()) == 2
    assert [row.event_id for row in await events.rows("consequences")] == [rows["new"].event_id]
    assert await figures(events.place) == before
    gone = await events.place.client.get(f"/v1/events/{rows['old'].event_id}/trace")
    assert (gone.status_code, gone.json()["code"]) == (404, "event_unknown")


@pytest.mark.parametrize(("days", "left"), [(0, 1), (None, 0)])
async def test_a_community_s_own_days_go_before_the_installation_s(events: Events, days: int | None, left: int) -> None:
    if days is not None:
        await wishing(events, activity_days=days)
    await events.place.post(event())
    await events.settle()
    events.clock.advance(timedelta(days=400))
    await purge(events)
    assert len(await events.place.timeline()) == 1
    events.clock.advance(timedelta(seconds=1))
    await purge(events)
    assert len(await events.place.timeline()) == left


async def test_history_is_kept_as_long_from_its_import_on(events: Events) -> None:
    await wishing(events, activity_days=30)
    old = [event(time=at(events.clock, days=-4000 - n)) for n in range(3)]
    await events.place.post(*old, headers={"Guildhall-Import": "archive"})
    await events.settle()
    events.clock.advance(timedelta(days=30))
    await purge(events)
    assert len(await events.place.timeline()) == 3
    events.clock.advance(timedelta(seconds=1))
    await purge(events)
    assert await events.place.timeline() == []
    assert sum((await figures(events.place)).values()) == 3


async def test_more_than_one_step_goes_in_steps(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 7)
    await wishing(events, activity_days=30)
    await events.place.post(*[event() for _ in range(40)])
    await events.settle()
    events.clock.advance(timedelta(days=31))
    await events.place.post(event(id="new"))
    await events.settle()
    await purge(events)
    assert [e["id"] for e in await events.place.timeline()] == ["new"]


async def test_what_was_stored_before_there_were_figures_is_counted_once(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    await events.place.post(*[event(time=at(events.clock, days=-n // 3)) for n in range(20)])
    await events.settle()
    expected = await figures(events.place)
    async with events.db.begin() as tx:
        await tx.execute(t.daily.delete())
        await tx.execute(update(t.activities).values(day=None))
    one = events.runtime.services["events"]
    # Stopped after a step, it goes on where it was; what comes meanwhile counts by itself.
    async with events.db.begin() as tx:
        assert await retention.count_uncounted(tx) == 3
    await events.place.post(event(type="poke"))
    await events.settle()
    for _ in range(2):
        await retention._all_of(one, asyncio.Event(), "", retention.count_uncounted)
    found = await figures(events.place)
    assert found.pop(("2026-11-23", "poke", "qq:100")) == 1
    assert found == expected
    async with events.db.read() as tx:
        total, rows = (
            await tx.scalar(select(func.sum(t.daily.c["count"]))),
            await tx.scalar(select(func.count()).select_from(t.activities)),
        )
    assert (total, rows) == (21, 21)


async def test_what_is_not_counted_yet_is_not_forgotten(events: Events) -> None:
    await wishing(events, activity_days=30)
    await events.place.post(event())
    await events.settle()
    async with events.db.begin() as tx:
        await tx.execute(t.daily.delete())
        await tx.execute(update(t.activities).values(day=None))
    events.clock.advance(timedelta(days=40))
    await purge(events)
    assert len(await events.place.timeline()) == 1
    assert date(2026, 11, 23) not in {row.day for row in await events.rows("daily")}
