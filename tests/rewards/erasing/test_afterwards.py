"""What comes when somebody was erased: nobody is paid for them, nothing fails, and others have what is theirs."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kit.errors import Conflict
from services.rewards.handlers import adjusting, reviewing
from services.rewards.store.erasures import closed
from services.rewards.tables.reviews import reviews
from tests.rewards.erasing.support import erase, faults, finish, forms, hear, naming, pseudonyms, steps
from tests.rewards.guild import Guild, make_guild, rule
from tests.rewards.ledger.support import all_entries, change_unit, wish
from tests.rewards.plans.support import plans_of
from tests.rewards.undoing.support import LIKED, POST, delete, minute, post, react, unreact
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(POST, LIKED)
    return guild


async def test_late_events_pay_nobody_and_write_down_nobody(guild: Guild) -> None:
    await guild.score(post(guild), react(guild))
    await erase(guild, "ann")
    again = post(guild, "m9"), react(guild, "m9"), react(guild, "m8", by="ann", of="bob")
    await guild.score(*again, delete(guild, "m9", by="ann"))
    assert await guild.verdicts(again[0]) == [("post", "ineligible", 0)]
    # What she did for others counts as what anybody does.
    assert (await guild.has("ann"), await guild.has("bob")) == (0, 2)
    await guild.score(*again)
    assert (await guild.has("ann"), await guild.has("bob")) == (0, 2)
    assert await naming(guild.db, *forms([guild.member("ann")]), "qq:ann") == []
    assert await faults(guild) == []


async def test_others_undo_what_they_shared_and_nothing_is_taken_from_nobody(guild: Guild) -> None:
    given = react(guild, by="ann", of="bob", subject="m2")
    await guild.score(post(guild), react(guild), post(guild, "m2", by="bob"), given)
    assert (await guild.has("ann"), await guild.has("bob")) == (5, 5)
    await erase(guild, "ann")
    (pseudonym,) = await pseudonyms(guild)
    # Bob takes his reaction to her back, and his own message away, to which she reacted.
    await guild.score(unreact(guild, by="bob", at=minute(1)), delete(guild, "m2", by="bob", at=minute(2)))
    assert (await guild.has("bob"), await guild.balance(pseudonym, "xp")) == (0, 0)
    assert await faults(guild) == []


async def test_a_linked_identity_stays_hers(guild: Guild) -> None:
    await guild.link("anna", "ann")
    await guild.score(post(guild, by="anna"))
    assert await guild.has("ann") == 3
    await erase(guild, "ann")
    late = post(guild, "m3", by="anna")
    await guild.score(late)
    assert await guild.verdicts(late) == [("post", "ineligible", 0)]
    assert await naming(guild.db, "qq:anna", *forms([guild.member("ann")])) == []


async def test_a_recompute_pays_nobody_and_takes_nothing_back_from_others(guild: Guild, tmp_path: Path) -> None:
    plans = plans_of(guild, tmp_path)
    await guild.score(post(guild), react(guild), post(guild, "m2", by="bob"), react(guild, "m2", by="ann", of="bob"))
    await erase(guild, "ann")
    (pseudonym,) = await pseudonyms(guild)
    more = [{**POST, "give": [{"to": "actor", "unit": "xp", "amount": 30}]}, LIKED]
    _, plan = await plans.recompute(*more)
    assert plan.state == "done"
    assert (await guild.has("bob"), await guild.balance(pseudonym, "xp")) == (32, 0)
    _, plan = await plans.recompute({**LIKED, "on": ["answer.posted"]})
    assert (await guild.has("bob"), await guild.balance(pseudonym, "xp")) == (0, 0)
    assert await faults(guild) == []


async def test_plans_and_erasures_do_not_meet(guild: Guild, tmp_path: Path) -> None:
    plans = plans_of(guild, tmp_path)
    await guild.score(post(guild), post(guild, "m2", by="bob"))
    ready = await plans.simulate(rule(amount=9))
    await hear(guild, guild.member("ann"))
    with pytest.raises(Conflict) as refused:
        await plans.publish(ready)
    assert refused.value.code == "erasure_under_way"
    await steps(guild.db)
    assert (await plans.find(ready.id)).state == "cancelled"
    await finish(guild)
    assert (await plans.simulate(rule(amount=9))).state == "ready"


async def test_a_recompute_that_is_being_posted_comes_to_its_end_first(guild: Guild, tmp_path: Path) -> None:
    plans = plans_of(guild, tmp_path)
    await guild.score(post(guild), post(guild, "m2", by="bob"))
    plan = await plans.simulate(POST | {"give": [{"to": "actor", "unit": "xp", "amount": 9}]})
    await plans.publish(plan)
    await hear(guild, guild.member("ann"))
    assert await steps(guild.db) == 0
    await plans.work(plan.id)
    assert (await guild.has("ann"), await guild.has("bob")) == (3, 9)
    await finish(guild)
    assert await guild.has("ann") == 0
    assert await faults(guild) == []


async def test_nothing_is_posted_by_hand_for_who_was_erased(guild: Guild) -> None:
    ann = guild.member("ann")
    await guild.know("ann")
    async with guild.db.begin() as tx:
        mine = await adjusting.post_one(tx, guild.id, wish(ann, 9, key="k"), "operator:o")
    assert mine.id is not None
    await change_unit(guild, approval_above=100)
    async with guild.db.begin() as tx:
        waiting = await adjusting.post_one(tx, guild.id, wish(ann, 500), "operator:o")
    await erase(guild, "ann")
    for what in (wish(ann, 1), wish(ann, 1, computed=True), wish(ann, 9, key="k")):
        async with guild.db.begin() as tx:
            with pytest.raises(Conflict) as refused:
                await adjusting.post_one(tx, guild.id, what, "operator:o")
        assert refused.value.code == "member_erased"
    async with guild.db.begin() as tx:
        with pytest.raises(Conflict) as refused:
            await adjusting.reverse(tx, guild.id, mine.id, amount=None, reason="no", actor="operator:o")
    assert refused.value.code == "member_erased"
    async with guild.db.begin() as tx:
        found = await adjusting.adjustments.by_ids(tx, guild.id, [waiting.id] if waiting.id else [])
    assert [row.state for row in found.values()] == ["refused"]


async def test_what_waits_for_review_is_refused_with_them(guild: Guild) -> None:
    await guild.publish(rule(amount=2, review_when="true"))
    await guild.score(guild.act(), guild.act(by="bob"))
    await hear(guild, guild.member("ann"))
    async with guild.db.read() as tx:
        ids = [row.id for row in await tx.all(select(reviews.c.id))]
    async with guild.db.begin() as tx:
        done = await reviewing.decide(tx, guild.id, ids, "approve", reason="", actor="operator:o")
    assert sorted(one.decided for one in done) == [False, True]
    await finish(guild)
    async with guild.db.read() as tx:
        assert sorted(row.state for row in await tx.all(select(reviews.c.state))) == ["approved", "refused"]
    assert (await guild.has("ann"), await guild.has("bob")) == (0, 2)
    assert await faults(guild) == []


@pytest.mark.parametrize("clawback", ["allow_negative", "to_zero_and_record_debt"])
async def test_what_was_owed_is_written_off_and_burn_had_what_was_burnt(guild: Guild, clawback: str) -> None:
    ann = guild.member("ann")
    await guild.know("ann")
    await change_unit(guild, clawback=clawback)
    async with guild.db.begin() as tx:
        grant = await adjusting.post_one(tx, guild.id, wish(ann, 9), "operator:o")
        await adjusting.post_one(tx, guild.id, wish(ann, -7, kind="spend"), "operator:o")
        assert grant.id is not None
        await adjusting.reverse(tx, guild.id, grant.id, amount=None, reason="no", actor="operator:o")
    await erase(guild, "ann")
    (pseudonym,) = await pseudonyms(guild)
    async with guild.db.read() as tx:
        kinds = [(r.kind, r.counter_name, r.amount) for r in await all_entries(tx, guild, pseudonym)]
    assert ("erasure", "adjust", 7) in kinds
    assert await guild.balance(pseudonym) == 0
    assert await faults(guild) == []


async def test_who_is_told_of_twice_is_erased_once_and_others_not_at_all(guild: Guild, make_database: Any) -> None:
    other = await make_guild(guild.db)
    await other.publish(POST)
    await guild.score(post(guild), post(guild, "m2", by="bob"))
    await other.score(post(other), post(other, "m2", by="bob"))
    for _ in range(2):
        await hear(guild, guild.member("ann"))
    await finish(guild)
    (pseudonym,) = await pseudonyms(guild)
    await erase(guild, "ann")
    assert await pseudonyms(guild) == {pseudonym}
    async with guild.db.read() as tx:
        assert await closed(tx, guild.id, [guild.member("ann"), guild.member("bob"), pseudonym]) == {
            guild.member("ann"),
            pseudonym,
        }
    assert [await one.has(name) for one in (guild, other) for name in ("ann", "bob")] == [0, 3, 3, 3]
    assert await pseudonyms(other) == set()
    assert await faults(guild) == []


async def test_what_was_under_way_when_it_was_told_is_found_the_second_time(guild: Guild) -> None:
    await guild.score(post(guild))
    await hear(guild, guild.member("ann"))
    await steps(guild.db)
    # Somebody who had begun before posts now.
    await guild.give(guild.grant(guild.member("ann"), 4, unit="xp"))
    assert await guild.has("ann") == 4
    guild.db.clock.advance(timedelta(minutes=11))  # type: ignore[attr-defined]  # the test's ManualClock
    await steps(guild.db)
    (pseudonym,) = await pseudonyms(guild)
    assert (await guild.has("ann"), await guild.balance(pseudonym, "xp")) == (0, 0)
    assert await naming(guild.db, *forms([guild.member("ann")])) == []
    assert await faults(guild) == []
