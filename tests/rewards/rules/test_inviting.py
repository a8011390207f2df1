"""Rules that pay who invited somebody, and what happens to that when who was invited leaves (R9, R71)."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from kit.contracts.events import Activity
from services.rewards.domain import explaining
from services.rewards.handlers import keeping
from services.rewards.tables.kept import kept_activities
from tests.rewards.erasing.support import erase, faults, forms, naming, pseudonyms
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import plans_of
from tests.rewards.undoing.support import explained, minute
from tests.support.databases import MakeDatabase

WELCOME: dict[str, Any] = {
    "id": "brought", "on": ["member.joined"], "give": [{"to": "inviter", "unit": "xp", "amount": 20}],
}  # fmt: skip
WEEK = timedelta(days=7)


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    """Twenty for bringing somebody."""
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(WELCOME)
    return guild


def join(guild: Guild, who: str = "bob", at: datetime = MORNING, *, by: Any = "qq:ann", **more: Any) -> Activity:
    return guild.act("member.joined", who, at, data={} if by is None else {"invited_by": by}, **more)


def leave(guild: Guild, who: str = "bob", at: datetime = MORNING, **more: Any) -> Activity:
    return guild.act("member.left", who, at, **more)


def kick(guild: Guild, who: str, at: datetime, type: str = "member.kicked") -> Activity:
    """As platforms tell it that say who did it."""
    return guild.act(type, "mod", at, data={"member": f"qq:{who}"})


async def test_who_invited_somebody_is_paid_and_known_by_any_of_their_identities(guild: Guild) -> None:
    await guild.link("anna", "ann")
    first, second = join(guild), join(guild, "cy", by="qq:anna")
    await guild.score(first, second, join(guild, "dan", by=f"member:{guild.member('ann')}"))
    assert await guild.has("ann") == 60
    assert await guild.verdicts(first) == [("brought", "granted", 20)]
    assert (await guild.has("bob"), await explained(guild, "ann")) == (0, 60)
    await check_books(guild.db)


@pytest.mark.parametrize("by", [None, "", "ann", 7, ["qq:ann"], "member:ann"])
async def test_where_nobody_is_named_nobody_is_paid(guild: Guild, by: Any) -> None:
    joined = join(guild, by=by)
    await guild.score(joined)
    assert await guild.verdicts(joined) == [("brought", "ineligible", 0)]


async def test_nobody_earns_by_inviting_themselves_and_no_bot_and_nobody_who_is_gone(guild: Guild) -> None:
    await guild.know("robot", kind="bot")
    await guild.know("gone", state="removed")
    await guild.link("bob2", "bob")
    some = join(guild, by="qq:bob"), join(guild, by="qq:bob2"), join(guild, by="qq:robot"), join(guild, by="qq:gone")
    await guild.score(*some)
    for one in some:
        assert await guild.verdicts(one) == [("brought", "ineligible", 0)]


async def test_conditions_know_who_invited(guild: Guild) -> None:
    await guild.know("ann", segments=("hosts",))
    await guild.publish({**WELCOME, "when": '"hosts" in inviter.segments && inviter.kind == "person"'})
    await guild.score(join(guild), join(guild, "cy", by="qq:dan"), join(guild, "eve", by=None))
    assert (await guild.has("ann"), await guild.has("dan")) == (20, 0)


async def test_once_for_each_who_comes_however_often_they_come(guild: Guild) -> None:
    await guild.publish({**WELCOME, "caps": [{"scope": "pair", "per": "lifetime", "of": "grants", "limit": 1}]})
    await guild.score(join(guild), leave(guild, at=minute(1)), join(guild, at=minute(2)), join(guild, "cy"))
    assert await guild.has("ann") == 20, "bob took his place with him"


@pytest.mark.parametrize("how", ["member.left", "member.kicked", "member.banned"])
async def test_who_leaves_takes_along_what_was_paid_for_their_coming(guild: Guild, how: str) -> None:
    await guild.score(join(guild), join(guild, "cy"))
    gone = leave(guild, at=minute(9)) if how == "member.left" else kick(guild, "bob", minute(9), how)
    await guild.score(gone)
    assert await guild.has("ann") == 20
    assert await guild.verdicts(gone) == [("brought", "undone", -20)]
    assert {explaining.cause(how, language) for language in ("en", "zh")}.isdisjoint({how, f"of {how}"})
    # Told again, or by a second bot, it takes nothing more.
    await guild.score(leave(guild, at=minute(9), id="again"))
    assert (await guild.has("ann"), await explained(guild, "ann")) == (20, 20)
    await check_books(guild.db)


async def test_only_leaving_where_they_came_and_after_they_came_counts(guild: Guild) -> None:
    await guild.score(leave(guild, at=minute(-5)), leave(guild, "ann", minute(5)))
    await guild.score(join(guild), leave(guild, at=minute(5), group="qq:200"))
    assert await guild.has("ann") == 20
    # What comes too late to be in order, and who comes again.
    await guild.score(leave(guild, at=minute(3)), join(guild, at=minute(6)))
    assert await guild.has("ann") == 20
    await guild.score(join(guild, "cy", minute(7)), leave(guild, "cy", minute(8)))
    assert await guild.has("ann") == 20, "of one batch nothing is paid at all"


async def test_a_rule_may_make_it_final_after_a_while(guild: Guild) -> None:
    await guild.publish({**WELCOME, "undone_by": [], "min_content_lifetime_seconds": int(WEEK.total_seconds())})
    await guild.score(join(guild), join(guild, "cy"))
    await guild.score(leave(guild, at=MORNING + WEEK - timedelta(seconds=1)), leave(guild, "cy", MORNING + WEEK))
    assert await guild.has("ann") == 20


async def test_a_recompute_pays_who_invited_when_no_rule_did_yet(guild: Guild, tmp_path: Path) -> None:
    await guild.publish()
    await guild.link("anna", "ann")
    await guild.score(join(guild), join(guild, "cy", by="qq:anna"), join(guild, "dan"))
    await guild.score(leave(guild, "dan", minute(3)))
    _, plan = await plans_of(guild, tmp_path).recompute(WELCOME)
    assert (plan.state, await guild.has("ann")) == ("done", 40)


async def test_a_recompute_over_what_was_kept_before_inviters_were_pays_none_and_goes_on(
    guild: Guild, tmp_path: Path
) -> None:
    await guild.publish()
    await guild.score(join(guild))
    async with guild.db.begin() as tx:
        (row,) = await tx.all(select(kept_activities))
        body = keeping.opened(row)
        old = [msgspec.structs.replace(item, inviter_id=None, inviter=None) for item in body.items]
        packed = keeping.packed(msgspec.structs.replace(body, items=old))
        await tx.execute(update(kept_activities).values(body=packed))
    came = {"id": "came", "on": ["member.joined"], "when": 'actor.kind == "person" && inviter.id == ""'}
    points = [{"to": "actor", "unit": "xp", "amount": 1}]
    _, plan = await plans_of(guild, tmp_path).recompute(WELCOME, {**came, "give": points})
    assert (plan.state, await guild.has("ann"), await guild.has("bob")) == ("done", 0, 1)


async def test_who_was_erased_is_nobody_s_inviter_any_more(guild: Guild, tmp_path: Path) -> None:
    await guild.score(join(guild))
    await erase(guild, "ann")
    late = join(guild, "cy")
    await guild.score(late)
    assert await guild.verdicts(late) == [("brought", "ineligible", 0)]
    assert await naming(guild.db, "qq:ann", *forms([guild.member("ann")])) == []
    (pseudonym,) = await pseudonyms(guild)
    _, plan = await plans_of(guild, tmp_path).recompute({**WELCOME, "give": [{**WELCOME["give"][0], "amount": 30}]})
    assert (plan.state, await guild.balance(pseudonym, "xp")) == ("done", 0)
    assert await faults(guild) == []
