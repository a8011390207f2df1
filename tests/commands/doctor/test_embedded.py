"""What doctor says of an embedded installation, and that it leaves every byte of it as it was."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.commands.doctor.findings import State
from services.compose import SERVICES
from tests.commands.doctor.conftest import Look
from tests.crash.processes import embedded

MICROS = 1_000_000


def contents(directory: Path) -> dict[str, bytes]:
    """Every file but the index that SQLite keeps of a write-ahead log, and a write-ahead log of nothing."""
    files = [path for path in directory.iterdir() if not path.name.endswith("-shm")]
    return {path.name: body for path in files if (body := path.read_bytes()) or not path.name.endswith("-wal")}


def alter(directory: Path, file: str, statement: str, *values: object) -> None:
    connection = sqlite3.connect(directory / f"{file}.sqlite", isolation_level=None)
    assert connection.execute(statement, values).rowcount > 0
    connection.close()


async def test_a_stopped_installation_is_well_and_stays_as_it_is(look: Look, data_dir: Path) -> None:
    before = contents(data_dir)
    found = await look(books=True)
    assert {one.state for one in found.values()} == {State.OK}, found
    assert contents(data_dir) == before
    wanted = {"settings", "public-url", "secret", "disk", "files", "log", "consumers"}
    wanted |= {f"{what}:{s.name}" for s in SERVICES for what in ("database", "schema", "outbox", "dead-letters")}
    assert found.keys() == wanted | {
        "books:rewards:ledger",
        "books:rewards:boards",
        "books:rewards:chain",
        "books:rewards:streaks",
    }


async def test_a_killed_installation_is_read_with_what_its_last_transactions_left(look: Look, tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    installation = embedded(tmp_path / "killed")
    installation.processes["up"].kill()
    directory = Path(installation.settings["data_dir"])
    before = contents(directory)
    assert any(name.endswith("-wal") for name in before)
    found = await look(data_dir=str(directory), books=True)
    assert {one.state for one in found.values()} == {State.OK}, found
    assert contents(directory) == before


async def test_where_there_is_no_installation_it_says_how_to_make_one(look: Look, tmp_path: Path) -> None:
    found = await look(data_dir=str(tmp_path / "elsewhere"))
    assert found["files"].state is State.FAILED
    assert "guildhall up" in found["files"].do
    assert not (tmp_path / "elsewhere").exists()


async def test_a_file_that_is_missing_is_not_made(look: Look, data_dir: Path) -> None:
    (data_dir / "rewards.sqlite").unlink()
    found = await look()
    assert (found["files"].state, "rewards.sqlite" in found["files"].found) == (State.FAILED, True)
    assert not (data_dir / "rewards.sqlite").exists()


async def test_a_setting_nobody_knows_is_told_as_at_the_start(look: Look) -> None:
    found = await look(inbox_dayz="3")
    assert found.keys() == {"settings"}
    assert "GUILDHALL_INBOX_DAYZ" in found["settings"].found


@pytest.mark.parametrize(
    ("settings", "name", "state", "told"),
    [
        ({"community_zone": "Europe/Nowhere"}, "settings", State.FAILED, "Europe/Nowhere"),
        ({"inbox_days": "3", "log_retention_days": "9"}, "settings", State.WARNING, "count twice"),
        ({"public_url": "guild.example.org"}, "public-url", State.FAILED, "guild.example.org"),
        ({"public_url": "http://guild.example.org"}, "public-url", State.WARNING, "in clear"),
        ({"public_url": "https://guild.example.org"}, "public-url", State.OK, "guild.example.org"),
        ({"public_url": "http://127.0.0.1:8000"}, "public-url", State.OK, "127.0.0.1"),
        ({"host": "0.0.0.0"}, "public-url", State.WARNING, "0.0.0.0"),
        ({"secret_key": "x" * 40}, "secret", State.WARNING, "holds another"),
    ],
)
async def test_settings_that_are_allowed_but_not_sensible(
    look: Look, settings: dict[str, str], name: str, state: State, told: str
) -> None:
    found = (await look(**settings))[name]
    assert (found.state, told in found.found) == (state, True), found
    assert bool(found.do) == (state is not State.OK)


async def test_a_secret_that_others_can_read_comes_with_the_command_that_ends_it(look: Look, data_dir: Path) -> None:
    (data_dir / "secret").chmod(0o644)
    found = (await look())["secret"]
    assert (found.state, found.do) == (State.FAILED, f"chmod 600 {data_dir}/secret")


async def test_a_secret_that_is_gone_is_not_made_anew(look: Look, data_dir: Path) -> None:
    (data_dir / "secret").unlink()
    assert (await look())["secret"].state is State.FAILED
    assert not (data_dir / "secret").exists()


@pytest.mark.parametrize("garbage", [b"", b"no batch at all", b"\xff" * 40])
async def test_a_last_batch_that_is_not_whole_is_named(look: Look, data_dir: Path, garbage: bytes) -> None:
    alter(data_dir, "log", "UPDATE batches SET body = ?", garbage)
    found = (await look())["log"]
    assert (found.state, "guildhall.activity, partition 0, offset 0" in found.found) == (State.FAILED, True), found


async def test_a_log_that_is_no_database_is_said_to_be_none(look: Look, data_dir: Path) -> None:
    (data_dir / "log.sqlite").write_bytes(b"something else" * 1000)
    found = (await look())["log"]
    assert (found.state, "cannot be read" in found.found) == (State.FAILED, True)


async def test_readers_beyond_the_end_of_the_log_mean_files_of_two_backups(look: Look, data_dir: Path) -> None:
    topic = "(SELECT id FROM topics WHERE name = 'guildhall.activity')"
    alter(data_dir, "log", f"INSERT INTO positions VALUES ('guildhall.rewards:guildhall.activity', {topic}, 0, 7)")
    found = (await look())["consumers"]
    assert (found.state, "one backup" in found.do) == (State.FAILED, True)


async def test_readers_far_behind_are_a_warning(look: Look) -> None:
    found = (await look(ready_max_lag="0"))["consumers"]
    assert (found.state, "guildhall.events:guildhall.activity by 1" in found.found) == (State.WARNING, True), found


async def test_a_clock_that_was_set_back_is_seen_by_the_log(look: Look, data_dir: Path) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    alter(data_dir, "log", "UPDATE batches SET at = ?", int(tomorrow.timestamp() * MICROS))
    assert (await look())["clock"].state is State.FAILED


async def test_a_schema_that_is_not_at_head_is_told_and_what_needs_it_is_not_looked_at(
    look: Look, data_dir: Path
) -> None:
    alter(data_dir, "events", "UPDATE alembic_version SET version_num = '0001'")
    found = await look()
    assert found["schema:events"].state is State.FAILED
    assert "guildhall migrate" in found["schema:events"].do
    assert "outbox:events" not in found
    assert found["outbox:rewards"].state is State.OK


@pytest.mark.parametrize(("age", "state"), [(5, State.OK), (120, State.WARNING), (3600, State.FAILED)])
async def test_rows_that_wait_for_the_log_too_long(look: Look, data_dir: Path, age: int, state: State) -> None:
    at = int((datetime.now(UTC).timestamp() - age) * MICROS)
    insert = "INSERT INTO outbox (id, topic, key, body, created_at) VALUES (?, 't', 'k', x'00', ?)"
    alter(data_dir, "notify", insert, "0" * 32, at)
    assert (await look())["outbox:notify"].state is state


async def test_dead_letters_that_wait_are_a_warning_with_the_command_that_lists_them(
    look: Look, data_dir: Path
) -> None:
    columns = "id, consumer, topic, log_partition, log_offset, key, body, code, message, stack_digest, attempts, state"
    values = "?, 'c', 't', 0, 0, x'', x'', 'bad', 'm', '', 1, 'dead', 0, 0"
    alter(
        data_dir, "notify", f"INSERT INTO dead_letters ({columns}, created_at, changed_at) VALUES ({values})", "0" * 32
    )
    found = (await look())["dead-letters:notify"]
    assert (found.state, "dead-letters list --service notify" in found.do) == (State.WARNING, True)


async def test_a_database_that_is_none_does_not_hide_what_else_there_is(look: Look, data_dir: Path) -> None:
    (data_dir / "members.sqlite").write_bytes(b"something else" * 1000)
    found = await look()
    assert found["database:members"].state is State.FAILED
    assert "schema:members" not in found
    assert found["schema:notify"].state is State.OK
