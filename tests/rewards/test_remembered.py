"""What a process remembers of definitions is what is committed."""

import pytest

from services.rewards.domain.checkins import Schedule, Series
from services.rewards.handlers import badges, checkins
from tests.rewards.badges.support import badge, bare, change, define, defined
from tests.rewards.guild import MORNING, Guild
from tests.rewards.ledger.support import Statements
from tests.support.databases import MakeDatabase


class Lost(Exception):
    """The transaction does not commit."""


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await bare(await make_database("rewards"))


def series(name: str) -> Series:
    return Series(id="reading", name=name, on=("page.read",), schedule=Schedule())


async def series_of(guild: Guild) -> str:
    async with guild.db.read() as tx:
        return (await checkins.existing(tx, guild.id, "reading")).terms.present.name


async def test_a_badge_that_was_taken_back_with_its_transaction_is_not_remembered(guild: Guild) -> None:
    with pytest.raises(Lost):
        async with guild.db.begin() as tx:
            await badges.create(tx, guild.id, badge(description="lost"), "operator:o")
            raise Lost
    await define(guild, badge(description="kept"))
    assert (await defined(guild, "ten")).badge.description == "kept"
    before = await defined(guild, "ten")
    with pytest.raises(Lost):
        async with guild.db.begin() as tx:
            await change(tx, before, description="lost")
            raise Lost
    async with guild.db.begin() as tx:
        await change(tx, before, description="changed")
    assert (await defined(guild, "ten")).badge.description == "changed"


async def test_a_series_that_was_taken_back_with_its_transaction_is_not_remembered(guild: Guild) -> None:
    with pytest.raises(Lost):
        async with guild.db.begin() as tx:
            await checkins.create(tx, guild.id, series("lost"), "operator:o")
            raise Lost
    async with guild.db.begin() as tx:
        before = await checkins.create(tx, guild.id, series("kept"), "operator:o")
    assert await series_of(guild) == "kept"
    with pytest.raises(Lost):
        async with guild.db.begin() as tx:
            await checkins.change(tx, before, series("lost"), MORNING.date(), "operator:o")
            raise Lost
    async with guild.db.begin() as tx:
        await checkins.change(tx, before, series("changed"), MORNING.date(), "operator:o")
    assert await series_of(guild) == "changed"


async def test_what_a_savepoint_took_back_is_not_remembered_when_the_rest_commits(guild: Guild) -> None:
    async with guild.db.begin() as tx:
        with pytest.raises(Lost):
            async with tx.savepoint():
                await badges.create(tx, guild.id, badge(description="lost"), "operator:o")
                raise Lost
        await badges.create(tx, guild.id, badge(description="kept"), "operator:o")
    assert (await defined(guild, "ten")).badge.description == "kept"


async def test_what_was_read_once_takes_one_statement(guild: Guild) -> None:
    await define(guild, badge())
    await defined(guild, "ten")
    async with guild.db.read() as tx:
        await checkins.in_force(tx, [guild.id])
    with Statements(guild.db) as statements:
        async with guild.db.begin() as tx:
            await badges.existing(tx, guild.id, "ten")
            await checkins.in_force(tx, [guild.id])
    assert len([text for text in statements.texts if text.startswith("SELECT")]) == 2
