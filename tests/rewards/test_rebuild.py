"""What a community has of its own survives the rebuilding of copies (K23)."""

from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete

from kit.log.embedded import EmbeddedLog
from services.rewards.handlers import boards as board_handlers
from services.rewards.handlers import rules as rule_handlers
from services.rewards.store import boards as board_rows
from tests.rewards.guild import Guild, rule
from tests.rewards.test_replicas import defaults, found, runtime
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase


async def test_rules_and_boards_that_a_community_has_are_left_alone_when_only_the_copies_are_lost(
    make_database: MakeDatabase, clock: ManualClock, tmp_path: Path
) -> None:
    db = await make_database("rewards")
    guild = Guild(db, uuid4(), [])
    one = runtime(EmbeddedLog(tmp_path / "log.sqlite", clock=clock), db, clock, tmp_path)
    await one.start(migrating=False)
    await found(one.log, guild)
    await one.settle()
    assert await guild.publish(rule("talk", amount=7)) == 2
    async with db.begin() as tx:
        await board_handlers.delete(tx, guild.id, "xp")
    await one.stop()
    had = await defaults(db)
    async with db.begin() as tx:
        await tx.execute(delete(db.table("known_communities")))
    again = runtime(EmbeddedLog(tmp_path / "log.sqlite", clock=clock), db, clock, tmp_path)
    await again.start(migrating=False)
    async with db.read() as tx:
        held = (await rule_handlers.in_force(tx, [guild.id]))[guild.id].at(tx.now)
        assert (held.version, [r.id for r in held.rules.rules]) == (2, ["talk"])
        assert [board.id for board in await board_rows.boards_of(tx, guild.id)] == ["contribution"]
    assert await defaults(db) == had
    await again.stop()
