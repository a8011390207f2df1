"""`guildhall ledger` on a stopped installation: what holds, what was changed, and the same on an export alone."""

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.clock import system_clock
from kit.migrations import migrate
from kit.settings import load_settings
from services.commands.ledger import _exported
from services.compose import BY_NAME
from services.engines import open_service_database
from services.rewards.handlers.sealing import seal_some
from services.rewards.store import chain as chain_store
from tests.crash.processes import clean_environment
from tests.rewards.erasing.support import finish, hear, pseudonyms
from tests.rewards.ledger.support import Place, make_place
from tests.support.clock import ManualClock


def ledger(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "services", "ledger", *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
async def installation(tmp_path: Path) -> tuple[Path, Place]:
    """A community with three sealed transactions."""
    service = BY_NAME["rewards"]
    db = open_service_database(
        load_settings({}, data_dir=tmp_path), service.name, service.metadata, frozenset(service.publishes)
    )
    try:
        await migrate(db, service.migrations)
        place = await make_place(db)
        await place.give(*(place.grant(member, 5) for member in place.members))
        db.clock = lambda: system_clock() + timedelta(seconds=10)
        assert await seal_some(db) == 3
    finally:
        await db.close()
    return tmp_path, place


async def test_a_ledger_that_holds_is_exported_and_verified_without_the_installation(
    installation: tuple[Path, Place], tmp_path: Path
) -> None:
    directory, place = installation
    code, said = ledger("verify", "--data-dir", str(directory))
    assert (code, "3 transactions in 1 blocks" in said, "everything holds" in said) == (0, True, True), said
    hash = said.split("the last ")[1].split()[0]
    file = tmp_path / "ledger.jsonl"
    assert ledger("export", str(place.id), str(file), "--data-dir", str(directory))[0] == 0
    assert ledger("verify", str(file), "--block", f"1:{hash}")[0] == 0
    code, said = ledger("verify", str(file), "--block", "1:" + "0" * 64)
    assert (code, "block 1 is" in said) == (1, True)
    file.write_bytes(file.read_bytes().replace(b",5,", b",50,"))
    code, said = ledger("verify", str(file))
    assert (code, "was changed" in said) == (1, True), said
    file.write_bytes(b"no ledger")
    assert ledger("verify", str(file)) == (1, f"guildhall: {file}: line 1: no JSON\n")


async def test_a_hand_in_the_database_is_seen(installation: tuple[Path, Place]) -> None:
    directory, _ = installation
    [file] = directory.glob("rewards.*")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE entries SET amount = amount * 100")
    connection.close()
    code, said = ledger("verify", "--data-dir", str(directory))
    assert (code, "block 1 or something in it was changed" in said) == (1, True), said


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert ledger("verify", "--block", "x")[0] == 2
    code, said = ledger("verify", "--data-dir", str(tmp_path / "nowhere"))
    assert (code, "name the installation's directory with --data-dir" in said) == (1, True), said


async def test_a_ledger_of_which_somebody_was_erased_holds_and_says_so(
    installation: tuple[Path, Place], tmp_path: Path, clock: ManualClock
) -> None:
    directory, place = installation
    service = BY_NAME["rewards"]
    db = open_service_database(
        load_settings({}, data_dir=directory), service.name, service.metadata, frozenset(service.publishes)
    )
    clock.now = system_clock() + timedelta(seconds=20)
    db.clock, place.db = clock, db
    await hear(place, place.members[0])
    await finish(place)
    file = tmp_path / "ledger.jsonl"
    export = "export", str(place.id), str(file), "--data-dir", str(directory)
    # What commits to it is in no block yet.
    code, said = ledger(*export)
    assert (code, "is not whole" in said) == (1, True), said
    clock.advance(timedelta(seconds=10))
    assert await seal_some(db) == 2
    await db.close()
    assert ledger(*export)[0] == 0
    for where in ((str(file),), ("--data-dir", str(directory))):
        code, said = ledger("verify", *where)
        assert (code, "2 of them are entries of members who were erased" in said) == (0, True), said


async def test_an_export_that_an_erasure_overtook_says_so(
    installation: tuple[Path, Place], tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block is read, then somebody is erased and what commits to it is sealed, then the next block is."""
    directory, place = installation
    service = BY_NAME["rewards"]
    db = open_service_database(
        load_settings({}, data_dir=directory), service.name, service.metadata, frozenset(service.publishes)
    )
    clock.now = system_clock() + timedelta(seconds=20)
    db.clock, place.db = clock, db
    read = chain_store.block

    async def overtaken(tx: Any, community_id: Any, number: int) -> Any:
        found = await read(tx, community_id, number)
        if number == 1 and not await pseudonyms(place):
            await hear(place, place.members[0])
            await finish(place)
            clock.advance(timedelta(seconds=10))
            assert await seal_some(db) > 0
        return found

    monkeypatch.setattr(chain_store, "block", overtaken)
    file = tmp_path / "ledger.jsonl"
    assert (await _exported(db, place.id, file))[1] is False
    assert (await _exported(db, place.id, file))[1] is True
    await db.close()
