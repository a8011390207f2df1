"""`guildhall ledger`: whether anything in the ledger was changed after it was sealed; a ledger as a file."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID

import typer
from rich.console import Console

from kit.database import Database, DatabaseUnavailable, Tx
from kit.settings import SettingsError, load_settings
from services.declarations import REWARDS
from services.engines import open_service_database
from services.rewards.domain.exported import Checked, NoExport, check, exported
from services.rewards.domain.ledger import ERASURE_RECORD
from services.rewards.handlers.sealing import Verified, verify_block
from services.rewards.store import chain as store
from services.rewards.store import erasures
from services.rewards.tables import metadata

cli = typer.Typer(no_args_is_help=True, help="Verify the ledger's chain, also on an export.")
T = TypeVar("T")

DataDir = Annotated[Path | None, typer.Option(help="Where the files are (GUILDHALL_DATA_DIR, ./data).")]
Blocks = Annotated[
    list[str] | None,
    typer.Option(
        "--block", help="NUMBER:HASH as it was written down once (GET /v1/entries/chain); may be given again."
    ),
]


@cli.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An export; without one the installation's database.")] = None,
    community: Annotated[UUID | None, typer.Option(help="Only this one.")] = None,
    block: Blocks = None,
    data_dir: DataDir = None,
) -> None:
    """Follow the chain and print what was found; exit code 1 when something does not hold."""
    known = [_block(text) for text in block or []]
    if file is not None:
        _verify_file(file, known)
        return
    found = _with_database(data_dir, lambda db: _verified(db, community, known))
    for one, faults in found:
        _say(f"{one.community_id}: {one.transactions} transactions in {one.number} blocks, the last {one.hash.hex()}")
        _say_erased(one.erased)
        for fault in faults:
            _say(f"  {fault}")
    _end(sum(len(faults) for _, faults in found))


@cli.command()
def export(
    community: UUID,
    file: Annotated[Path, typer.Argument(help="Written anew; a line for each block and transaction.")],
    data_dir: DataDir = None,
) -> None:
    """Write what is sealed of a community's ledger to a file that anybody can verify."""
    count, whole = _with_database(data_dir, lambda db: _exported(db, community, file))
    if not whole:
        _fail(f"{file} is not whole: a member is being erased, or was a moment ago; export again in a minute")
    _say(f"{count} blocks in {file}; what was posted in the last seconds is not sealed yet")


def _block(text: str) -> tuple[int, str]:
    number, _, hash = text.partition(":")
    if not number.isdecimal() or len(hash) != 64:
        raise typer.BadParameter("a block is NUMBER:HASH, the hash 64 hexadecimal digits", param_hint="--block")
    return int(number), hash.lower()


def _verify_file(file: Path, known: list[tuple[int, str]]) -> None:
    try:
        with file.open("rb") as lines:
            found = check(lines)
    except (OSError, NoExport) as error:
        _fail(f"{file}: {error}")
    faults = [*found.faults, *_against(found, known)]
    last = found.hashes[-1] if found.hashes else "none"
    _say(f"{found.community}: {found.transactions} transactions in {len(found.hashes)} blocks, the last {last}")
    _say_erased(found.erased)
    for fault in faults:
        _say(f"  {fault}")
    _end(len(faults))


def _against(found: Checked, known: list[tuple[int, str]]) -> list[str]:
    hashes = dict(enumerate(found.hashes, 1))
    return [f"block {n} is {hashes.get(n)}, and was {hash}" for n, hash in known if hashes.get(n) != hash]


async def _verified(
    db: Database, community: UUID | None, known: list[tuple[int, str]]
) -> list[tuple[Verified, list[str]]]:
    async with db.read() as tx:
        those = await store.communities(tx) if community is None else [community]
    if known and len(those) > 1:
        raise SettingsError("--block is of one community: name it with --community")
    out = []
    for community_id in those:
        so_far, more = Verified(community_id), True
        while more:
            async with db.read() as tx:
                more = await verify_block(tx, so_far, await store.late_ids(tx, community_id))
        out.append((so_far, [*so_far.faults, *await _differing(db, community_id, known)]))
    return out


async def _differing(db: Database, community_id: UUID, known: list[tuple[int, str]]) -> list[str]:
    faults = []
    for number, hash in known:
        async with db.read() as tx:
            block = await store.block(tx, community_id, number)
        there = None if block is None else block.hash.hex()
        if there != hash:
            faults.append(f"block {number} is {there}, and was {hash}")
    return faults


async def _exported(db: Database, community: UUID, file: Path) -> tuple[int, bool]:
    """How many blocks, and whether the file has all that was erased with what commits to it: blocks are read one after
    the other, and an erasure goes on between them."""
    number = 0
    named: Counter[UUID] = Counter()
    records: set[UUID] = set()
    with file.open("wb") as out:
        while True:
            async with db.read() as tx:
                block = await store.block(tx, community, number + 1)
                if block is None:
                    return number, records >= named.keys() and await _all_of(tx, community, records, named)
                transactions = await store.read(tx, community, block.ids)
                erased = await erasures.erased_among(tx, community, block.ids)
            named.update(one.record_id for times in erased.values() for one in times)
            records |= {one.id for one in transactions if one.kind == ERASURE_RECORD}
            out.writelines(line + b"\n" for line in exported(block, transactions, erased))
            number += 1


async def _all_of(tx: Tx, community: UUID, records: Iterable[UUID], named: Mapping[UUID, int]) -> bool:
    """Whether so many entries name each record as it commits to."""
    for record in records:
        if len(await erasures.of_record(tx, community, record)) != named.get(record, 0):
            return False
    return True


def _with_database(data_dir: Path | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """What the work returns on the rewards service's database, opened read only; trouble is one line and code 1."""

    async def run() -> T:
        settings = load_settings(data_dir=data_dir)
        db = open_service_database(settings, REWARDS.name, metadata, frozenset(), read_only=True)
        try:
            if db.path is not None and not db.path.exists():
                raise SettingsError(f"there is no {db.path}: name the installation's directory with --data-dir")
            return await work(db)
        finally:
            await db.close()

    try:
        return asyncio.run(run())
    except (SettingsError, DatabaseUnavailable, OSError) as error:
        _fail(str(error))


def _say_erased(count: int) -> None:
    if count:
        _say(f"  {count} of them are entries of members who were erased since")


def _end(faults: int) -> None:
    if faults:
        _say(f"{faults} things do not hold")
        raise typer.Exit(1)
    _say("everything holds")


def _say(line: str) -> None:
    Console(highlight=False, soft_wrap=True).print(line, markup=False)


def _fail(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"guildhall: {message}", style="red", markup=False, highlight=False)
    raise typer.Exit(1)
