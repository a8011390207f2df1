"""Counting events for a badge that was made after them: what counts, who is told, and who is at it at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kit.contracts.rewards import BadgeGranted, BadgeRevoked
from kit.database import DatabaseUnavailable
from kit.errors import Conflict, Unprocessable
from services.rewards.handlers import granting
from services.rewards.handlers.backfills import counting, running
from services.rewards.store import backfills as store
from services.rewards.store import kept
from tests.rewards.badges.backfilling import ask, backfill, cancel, everything, found, work
from tests.rewards.badges.support import badge, bare, change, define, defined, expire, grants, held, marks, standing
from tests.rewards.badges.test_measured import grant
from tests.rewards.erasing.support import erase, finish, hear, pseudonyms
from tests.rewards.guild import Guild
from tests.rewards.ledger.killing import died, killing, replica
from tests.rewards.ledger.support import announced
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.advance(-30 * DAY)
    return await bare(await make_database("rewards"))


async def talk(guild: Guild, clock: ManualClock, *names: str, **fields: Any) -> None:
    """Each says something, a day after the other."""
    for name in names:
        clock.advance(DAY)
        await guild.score(guild.act(by=name, at=clock(), **fields))


async def test_who_had_reached_it_has_it_as_of_then_and_nobody_is_told(guild: Guild, clock: ManualClock) -> None:
    began = clock()
    await talk(guild, clock, *["ann"] * 4, "bob")
    clock.advance(HOUR)
    await define(guild, badge("later"))
    row = await backfill(guild)
    assert (row.state, row.total, row.done, row.granted, row.kept_from) == ("done", 5, 5, 1, began + DAY)
    assert await held(guild, "ann", "later") == began + 3 * DAY
    (told,) = await announced(guild.db, BadgeGranted)
    assert (told.granted_at, told.notify, told.history) == (began + 3 * DAY, False, True)
    # What had been counted goes on, and who reaches it now is told.
    await talk(guild, clock, "bob", "bob")
    assert await held(guild, "bob", "later") == clock()
    assert [event.notify for event in await announced(guild.db, BadgeGranted)] == [False, True]


async def test_who_is_to_be_told_is_told_once(guild: Guild, clock: ManualClock) -> None:
    await talk(guild, clock, "ann", "ann")
    await guild.score(*[guild.act(by="bob", at=clock(), import_name="qq") for _ in range(2)])
    await define(guild, badge("later", least=2))
    await backfill(guild, silent=False)
    await backfill(guild, silent=False)
    told = {event.member_id: event.notify for event in await announced(guild.db, BadgeGranted)}
    assert told == {guild.member("ann"): True, guild.member("bob"): False}, "imported history wakes nobody"
    assert len(await announced(guild.db, BadgeGranted)) == 2


async def test_the_end_of_what_nobody_was_told_of_is_not_told_either(guild: Guild, clock: ManualClock) -> None:
    await talk(guild, clock, "ann", subject="m1")
    await talk(guild, clock, "ann", subject="m2")
    await define(guild, badge("lost", kind="auto_revoke", least=2))
    await define(guild, badge("over", kind="expiring", expires_after_days=3, least=2))
    clock.advance(5 * DAY)
    for id in ("lost", "over"):
        await backfill(guild, id)
    assert await grants(guild, "over") == [(1, clock() - 5 * DAY, "expired")]
    assert await expire(guild) == 0
    await guild.score(guild.act("message.deleted", subject="m1", at=clock()))
    assert await grants(guild, "lost") == [(1, clock() - 5 * DAY, "undone")]
    ends = {event.badge_id: event for event in await announced(guild.db, BadgeRevoked)}
    assert {id: (e.why, e.notify) for id, e in ends.items()} == {"lost": ("undone", False), "over": ("expired", False)}
    assert ends["over"].ended_at == clock() - 2 * DAY


async def test_what_happened_before_since_counts_nothing(guild: Guild, clock: ManualClock) -> None:
    began = clock()
    await talk(guild, clock, *["ann"] * 3)
    clock.advance(HOUR)
    await define(guild, badge("later"))
    await talk(guild, clock, "ann")
    await backfill(guild, since=began + 2 * DAY)
    assert await held(guild, "ann", "later") == clock()
    assert await grants(guild, "later") == [(1, clock(), None)]


async def test_a_badge_is_not_backfilled_where_nothing_could_be_counted(guild: Guild, clock: ManualClock) -> None:
    await define(guild, badge("early"), badge("hand", what="hand"))
    with pytest.raises(Conflict, match="nothing is kept of before this badge was made"):
        await ask(guild, "early")
    clock.advance(DAY)
    await talk(guild, clock, "ann")
    with pytest.raises(Conflict, match="nothing is kept of before this badge was made"):
        await ask(guild, "early")
    with pytest.raises(Unprocessable, match="an operator grants this badge"):
        await ask(guild, "hand")
    assert (await standing(guild, "ann", "early")).progress == 1


# Those who have it, and those who are gone


async def test_whoever_was_granted_it_keeps_that_and_the_others_are_counted_anew(
    guild: Guild, clock: ManualClock
) -> None:
    await talk(guild, clock, *["ann", "bob"] * 2)
    reached = clock() - DAY
    clock.advance(HOUR)
    await define(guild, badge("later", kind="auto_revoke", least=2))
    await guild.score(*[guild.act(by="bob", at=clock(), subject=f"b{n}") for n in range(2)])
    await guild.score(guild.act(by="cyd", at=clock()))
    await define(guild, badge("hand", least=2))
    await grant(guild, "hand", clock() - DAY)
    now = clock()
    clock.advance(HOUR)
    for id in ("later", "hand"):
        await backfill(guild, id)
    assert await held(guild, "bob", "later") == now
    assert await held(guild, "ann", "later") == reached
    assert (await standing(guild, "cyd", "later")).progress == 1
    assert await held(guild, "ann", "hand") == now - DAY
    # What was counted for them before counts on.
    await guild.score(guild.act("message.deleted", "bob", subject="b0", at=clock()))
    assert await held(guild, "bob", "later") is None
    assert len(await grants(guild, "later")) == 2


async def test_what_counted_for_whoever_has_it_is_not_undone_once_more(guild: Guild, clock: ManualClock) -> None:
    """Taken back and done again within one second: of two with the same time the later to arrive counts as later."""
    await talk(guild, clock, "bob")
    clock.advance(HOUR)
    await define(guild, badge("later", kind="auto_revoke", on=("reaction.added",), least=1))
    for type in ("reaction.removed", "reaction.added"):
        await guild.score(guild.act(type, "bob", clock(), subject="m1", of="ann"))
    reached = clock()
    clock.advance(HOUR)
    await backfill(guild)
    assert await grants(guild, "later") == [(1, reached, None)]


async def test_who_takes_it_by_hand_while_it_runs_has_the_last_word(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STEP", 1)
    await talk(guild, clock, *["ann"] * 6)
    await define(guild, badge("later", kind="auto_revoke", least=2))
    await ask(guild)
    await work(guild, steps=4)
    assert await held(guild, "ann", "later") is not None
    one = await defined(guild, "later")
    async with guild.db.begin() as tx:
        await granting.revoke(tx, one, guild.member("ann"), reason="no", actor="operator:o")
    await work(guild)
    assert [why for _, _, why in await grants(guild, "later")] == ["by_hand"]


async def test_who_was_erased_is_granted_nothing_and_is_nobodys_people(guild: Guild, clock: ManualClock) -> None:
    await guild.know("ann")
    for by, of in (("ann", "bob"), ("cyd", "bob"), ("bob", "ann"), ("cyd", "ann")):
        await guild.score(guild.act("reaction.added", by, clock(), of=of))
    await erase(guild, "ann")
    terms: dict[str, Any] = {"on": ("reaction.added",), "whose": "subject_author", "count": "people"}
    await define(guild, badge("later", least=1, **terms), badge("two", least=2, **terms))
    for id in ("later", "two"):
        await backfill(guild, id)
    assert await held(guild, "bob", "later") is not None
    assert len(await grants(guild, "later")) == 1
    assert await grants(guild, "two") == []


async def test_who_is_being_erased_while_it_runs_does_not_come_back(guild: Guild, clock: ManualClock) -> None:
    await guild.know("ann")
    await talk(guild, clock, *["ann", "bob"] * 3)
    await define(guild, badge("later"))
    await ask(guild)
    await hear(guild, guild.member("ann"))
    await work(guild)
    assert await everything(guild, "later") == {
        guild.member("bob"): (await everything(guild, "later"))[guild.member("bob")]
    }
    await finish(guild)
    (pseudonym,) = await pseudonyms(guild)
    assert not {guild.member("ann"), pseudonym} & (await everything(guild, "later")).keys()


async def test_whom_an_identity_belonged_to_then_has_it(guild: Guild, clock: ManualClock) -> None:
    await talk(guild, clock, *["ann"] * 2)
    await guild.link("ann", "bob")
    await talk(guild, clock, *["ann"] * 2)
    await define(guild, badge("later", least=2))
    await backfill(guild)
    assert await held(guild, "ann", "later") is not None
    assert await held(guild, "bob", "later") == clock()


async def test_it_counts_for_its_own_community_and_badge_only(guild: Guild, clock: ManualClock) -> None:
    other = await bare(guild.db, badge("later", least=1))
    await define(guild, badge("ten", least=5))
    await talk(guild, clock, *["ann"] * 3)
    await other.score(other.act(by="ann", at=clock()))
    await define(guild, badge("later", least=2))
    before = await everything(guild, "ten"), await everything(other, "later")
    await backfill(guild)
    assert (await everything(guild, "ten"), await everything(other, "later")) == before
    await talk(guild, clock, "ann", "ann")
    assert await held(guild, "ann", "ten") == clock()


# Under way


async def test_a_cancelled_one_counts_what_came_since_the_badge_was_made(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STEP", 1)
    await talk(guild, clock, *["ann", "bob"] * 3)
    clock.advance(HOUR)
    await define(guild, badge("later"))
    clock.advance(HOUR)
    await talk(guild, clock, "bob")
    await ask(guild)
    await work(guild, steps=2)
    assert (await cancel(guild)).state == (await cancel(guild)).state == "closing"
    await talk(guild, clock, "bob")
    await work(guild)
    assert (await found(guild)).state == "cancelled"
    assert await grants(guild, "later") == []
    # One of before the badge, that was reached; and two of afterwards.
    assert (await standing(guild, "bob", "later")).progress == 2
    await talk(guild, clock, "bob")
    assert await held(guild, "bob", "later") == clock()
    assert (await backfill(guild)).state == "done"
    with pytest.raises(Conflict):
        await cancel(guild)


async def test_a_badge_that_is_disabled_meanwhile_is_given_up(guild: Guild, clock: ManualClock) -> None:
    await talk(guild, clock, *["ann"] * 3)
    await define(guild, badge("later"))
    await ask(guild)
    one = await defined(guild, "later")
    async with guild.db.begin() as tx:
        await change(tx, one, enabled=False)
    await work(guild)
    assert (await found(guild)).state == "cancelled"
    assert await announced(guild.db, BadgeGranted) == []
    with pytest.raises(Conflict):
        await ask(guild)


async def test_what_comes_between_the_last_look_and_the_end_is_counted(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody talks after what is left was read, and before nobody scores."""
    await talk(guild, clock, "ann", "ann")
    await define(guild, badge("later"))
    await ask(guild)
    rows, late = counting._rows, []

    async def slow(*of: Any) -> Any:
        out = await rows(*of)
        if not late and (await found(guild)).cleared:
            late.append(guild.act(at=clock()))
            await guild.score(*late)
        return out

    monkeypatch.setattr(counting, "_rows", slow)
    await work(guild)
    assert (await found(guild)).state == "done"
    assert await grants(guild, "later") == [(1, clock(), None)]
    assert late


async def test_it_comes_to_its_end_though_activities_keep_coming(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STEP", 4)
    await talk(guild, clock, *["ann"] * 20)
    await define(guild, badge("later", least=40))
    await ask(guild)
    for _ in range(20):
        await talk(guild, clock, *["ann"] * 2)
        await work(guild, steps=1)
    assert (await found(guild)).state == "done"
    assert await held(guild, "ann", "later") is not None


@pytest.mark.parametrize("kind", ["auto_revoke", "expiring"])
async def test_processes_that_die_in_it_leave_it_to_the_others(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Two of them by turns, each killed a statement later than the one before."""
    monkeypatch.setattr(counting, "STEP", 3)
    more: dict[str, Any] = {"expires_after_days": 2} if kind == "expiring" else {}
    await define(guild, badge("live", kind=kind, least=2, **more))
    for n in range(12):
        await talk(guild, clock, "ann", subject=f"m{n}")
        if n % 3 == 2:
            await guild.score(guild.act("message.deleted", "mod", clock(), subject=f"m{n - 1}"))
    await define(guild, badge("later", kind=kind, least=2, **more))
    await ask(guild)
    other = replica(guild.db, clock)
    deaths = 0
    for at in range(1, 4000):
        if (await found(guild)).state == "done":
            break
        db = (guild.db, other)[at % 2]
        with killing(db, 1 + at // 2):
            deaths += await died(work(guild, db=db))
    await work(guild)
    await other.close()
    assert deaths > 20
    await expire(guild)
    assert await everything(guild, "later") == await everything(guild, "live")
    told = [(e.member_id, e.number) for e in await announced(guild.db, BadgeGranted) if e.badge_id == "later"]
    assert len(told) == len(set(told)) == len(await grants(guild, "later"))


async def test_many_processes_and_writers_at_once_count_each_event_once(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STEP", 5)
    await define(guild, badge("live", kind="auto_revoke", least=2000))
    for _ in range(20):
        await guild.score(*[guild.act(by=f"p{n}", at=clock()) for n in range(4)])
    await define(guild, badge("later", kind="auto_revoke", least=2000))
    await ask(guild)
    other = replica(guild.db, clock)

    async def write() -> None:
        for _ in range(15):
            await guild.score(*[guild.act(by=f"p{n}", at=clock()) for n in range(4)])
            await asyncio.sleep(0)

    async def follow(db: Any) -> None:
        while (await found(guild)).state != "done":
            await running.step(db, guild.id, "later")
            await asyncio.sleep(0)

    async with asyncio.timeout(120):
        await asyncio.gather(write(), write(), follow(guild.db), follow(other))
    await other.close()
    await guild.score(guild.act(by="p0", at=clock()))
    assert await everything(guild, "later") == await everything(guild, "live")
    assert (await standing(guild, "p0", "later")).progress == 51


async def test_a_database_that_is_away_fails_nothing_and_what_does_not_pass_does(
    guild: Guild, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talk(guild, clock, *["ann"] * 3)
    await define(guild, badge("later"))
    await ask(guild)

    async def away(*_: Any) -> Any:
        raise DatabaseUnavailable("the connection went")

    async def broken(*_: Any) -> Any:
        raise ValueError("this row cannot be read")

    monkeypatch.setattr(counting, "_count", away)
    with pytest.raises(DatabaseUnavailable):
        await work(guild)
    monkeypatch.setattr(counting, "_count", broken)
    await work(guild)
    row = await found(guild)
    assert (row.state, "cannot be read" in row.error) == ("failed", True)
    monkeypatch.undo()
    await talk(guild, clock, "bob")
    assert (await standing(guild, "bob", "later")).progress == 1, "it counts by itself again"
    assert (await backfill(guild)).state == "done"
    assert await held(guild, "ann", "later") is not None


async def test_nothing_is_left_of_it_but_its_row(guild: Guild, clock: ManualClock) -> None:
    for n in range(5):
        await talk(guild, clock, "ann", subject=f"m{n}")
        await guild.score(guild.act("message.deleted", "mod", clock(), subject=f"m{n}"))
    await define(guild, badge("later"))
    await backfill(guild)
    assert await marks(guild) == 0
    async with guild.db.read() as tx:
        row = await store.one(tx, guild.id, "later")
        assert row is not None
        assert await store.unfinished(tx) == []
        assert row.place == await kept.head(tx, guild.id)
    async with guild.db.begin() as tx:
        assert await store.forget_inverses(tx, row, 10) == 0
