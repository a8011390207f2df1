"""What is not moved, and why; and that nothing starts on a target that is half full."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from kit.clock import system_clock
from kit.contracts import ACTIVITY_TOPIC
from kit.database import Database, open_database
from kit.log import Record
from kit.log.embedded import EmbeddedLog
from kit.log.kafka import KafkaLog
from kit.runtime import topics
from kit.settings import load_settings
from services.commands.moving.steps import Refused, Result, both_settings, move
from services.compose import BY_NAME, SERVICES
from tests.commands.doctor.test_split import look
from tests.commands.moving.target import Target
from tests.crash.processes import DidNotStart, clean_environment, command

ROW = "INSERT INTO known_members VALUES (?, ?, 1, ?, 'active', 'person', NULL, NULL, '[]')"


def fill(data_dir: Path, rows: int, first: int = 0) -> None:
    """Members that the rewards service knows of."""
    connection = sqlite3.connect(data_dir / "rewards.sqlite", isolation_level=None)
    for number in range(first, first + rows):
        connection.execute(ROW, ("0" * 32, f"{number:032x}", f"member {number}"))
    connection.close()


async def moving(target: Target, data_dir: Path, said: list[str] | None = None, chunk: int = 100) -> Result:
    """In this process, as the command does it."""
    given = {"GUILDHALL_KAFKA_PREFIX": target.prefix, "GUILDHALL_KAFKA_PARTITIONS": str(target.partitions)}
    source, there = both_settings(target.libpq, target.kafka, given, data_dir=data_dir)
    return await move(source, there, chunk=chunk, say=(said if said is not None else []).append)


def rewards_over_there(target: Target) -> Database:
    service = BY_NAME["rewards"]
    return open_database("rewards", system_clock, metadata=service.metadata, url=target.url)


async def over_there(target: Target, statement: str) -> Any:
    db = rewards_over_there(target)
    async with db.begin() as tx:
        result = await tx.execute(text(statement))
    await db.close()
    return result


async def test_an_installation_that_runs_is_left_alone(target: Target, data_dir: Path) -> None:
    log = EmbeddedLog(data_dir / "log.sqlite")
    await log.start()
    code, _, errors = target.move(data_dir)
    assert (code, "another process uses" in errors) == (1, True)
    await log.stop()
    assert target.move(data_dir)[0] == 0


async def test_while_it_moves_nobody_starts_it(target: Target, data_dir: Path) -> None:
    fill(data_dir, 3)
    tried: list[str] = []

    class Trying(list[str]):
        def append(self, line: str) -> None:
            if not tried:
                try:
                    command(clean_environment(data_dir=str(data_dir)), "up", "--port", "0")
                except DidNotStart as error:
                    tried.append(str(error))

    await moving(target, data_dir, Trying())
    assert "another process uses" in tried[0]


async def test_where_there_is_no_installation_nothing_is_made(target: Target, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no embedded installation"):
        await moving(target, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


async def test_an_installation_without_its_secret_is_not_moved(target: Target, data_dir: Path) -> None:
    (data_dir / "secret").unlink()
    with pytest.raises(Refused, match="restore it"):
        await moving(target, data_dir)


def test_a_target_that_cannot_be_used_is_told_without_its_password(target: Target, data_dir: Path) -> None:
    url = target.url.replace("://guildhall@", "://guildhall:password-of-theirs@").rpartition("/")[0] + "/nowhere"
    code, _, errors = replace(target, url=url).move(data_dir)
    assert (code, "cannot be used" in errors, "password-of-theirs" in errors) == (1, True, False), errors


async def test_a_source_that_is_not_at_head_is_to_be_migrated_first(target: Target, data_dir: Path) -> None:
    connection = sqlite3.connect(data_dir / "events.sqlite", isolation_level=None)
    connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    with pytest.raises(Refused, match="guildhall migrate"):
        await moving(target, data_dir)


async def test_a_database_with_data_of_its_own_is_refused_and_left_as_it_is(target: Target, data_dir: Path) -> None:
    command(clean_environment(**target.settings("s" * 32, data_dir)), "migrate")
    insert = "INSERT INTO rewards.inbox VALUES ('00000000-0000-0000-0000-000000000001', now())"
    await over_there(target, insert)
    with pytest.raises(Refused, match=r"rows in rewards\.inbox"):
        await moving(target, data_dir)
    await over_there(target, "DELETE FROM rewards.inbox")
    await over_there(target, "CREATE TABLE notify.letters (id int)")
    with pytest.raises(Refused, match="of somebody else's"):
        await moving(target, data_dir)
    await over_there(target, "DROP TABLE notify.letters")
    assert (await moving(target, data_dir)).different == []


async def test_topics_with_records_of_their_own_are_refused(target: Target, data_dir: Path) -> None:
    log = KafkaLog(target.kafka, partitions=target.partitions, prefix=target.prefix)
    await log.start()
    await log.ensure(topics(load_settings({})))
    await log.append(ACTIVITY_TOPIC, [Record(b"k", b"v")])
    await log.stop()
    with pytest.raises(Refused, match="GUILDHALL_KAFKA_PREFIX"):
        await moving(target, data_dir)


async def test_nothing_starts_on_a_target_that_is_half_full_until_the_move_has_ended(
    target: Target, data_dir: Path
) -> None:
    fill(data_dir, 500)
    target.move_until(data_dir, 5, "--chunk", "50")
    settings = target.settings("s" * 32, data_dir)
    environment = clean_environment(**settings)
    with pytest.raises(DidNotStart, match="not at head"):
        command(environment, "serve", "rewards", "--port", "0")
    with pytest.raises(DidNotStart, match="migrate-db"):
        command(environment, "migrate")
    found = await look({name: value for name, value in environment.items() if name.startswith("GUILDHALL_")})
    assert "migrate-db" in found["schema:rewards"].do
    code, said, _ = target.move(data_dir)
    assert (code, said["equal"]) == (0, True)
    command(environment, "migrate")
    found = await look({name: value for name, value in environment.items() if name.startswith("GUILDHALL_")})
    assert {found[f"schema:{service.name}"].state for service in SERVICES} == {"ok"}


async def test_a_source_that_went_on_meanwhile_needs_an_empty_target(target: Target, data_dir: Path) -> None:
    fill(data_dir, 500)
    target.move_until(data_dir, 5, "--chunk", "50")
    fill(data_dir, 1, first=1000)
    with pytest.raises(Refused, match="begin anew"):
        await moving(target, data_dir)


async def test_a_row_that_differs_over_there_fails_the_move_and_nothing_starts(target: Target, data_dir: Path) -> None:
    fill(data_dir, 300)
    target.move_until(data_dir, 10_000, "--chunk", "50")
    await over_there(target, "UPDATE guildhall_move.moves SET finished_at = NULL")
    await over_there(target, "UPDATE rewards.alembic_version SET version_num = 'moving'")
    await over_there(target, "UPDATE rewards.known_members SET display_name = 'other' WHERE display_name = 'member 7'")
    result = await moving(target, data_dir)
    assert [line.what for line in result.different] == ["rewards.known_members"]
    code, said, _ = target.move(data_dir)
    assert (code, said["equal"]) == (1, False)
    with pytest.raises(DidNotStart, match="not at head"):
        command(clean_environment(**target.settings("s" * 32, data_dir)), "serve", "rewards", "--port", "0")


async def test_numbers_that_count_by_themselves_go_on_behind_what_was_copied(target: Target, data_dir: Path) -> None:
    connection = sqlite3.connect(data_dir / "rewards.sqlite", isolation_level=None)
    later = 2**52  # microseconds: due work of the year 2112
    insert = (
        "INSERT INTO outbox (seq, id, topic, key, body, created_at, not_before) VALUES (?, ?, 't', 'k', x'00', 0, ?)"
    )
    connection.execute(insert, (41, "0" * 32, later))
    connection.close()
    assert (await moving(target, data_dir)).different == []
    values = "(gen_random_uuid(), 't', 'k', '', now())"
    done = await over_there(
        target, f"INSERT INTO outbox (id, topic, key, body, created_at) VALUES {values} RETURNING seq"
    )
    assert done.scalar() == 42
