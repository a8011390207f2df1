"""Sealing the ledger in its chain, behind those who post: they wait for nothing and know nothing of it.

A transaction is in a block some seconds after it was posted. Ids follow the clock of who posts, and who posts may
commit late, so ground that was sealed is looked at once more ten minutes later: what is found there then is sealed in a
block of its own. Guaranteed of what is sealed is that a change shows; before that, nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from kit.clock import first_uuid7
from kit.database import Database, Tx, try_lock
from kit.metrics import LEDGER_SEALED
from kit.turns import in_turns
from services.rewards.domain.chain import MOST, NO_HASH, Block, Transaction, block_hash, digest, written
from services.rewards.domain.erasing import Erased, commitment
from services.rewards.domain.ledger import ERASURE_RECORD
from services.rewards.store import chain as store
from services.rewards.store import erasures
from services.rewards.store.chain import NO_ID, Chain

UNDER_WAY = timedelta(seconds=5)
"""Most of what has an id of now is committed by then."""

AGAIN = timedelta(minutes=10)
FORGIVEN = timedelta(hours=1)
"""What has been posted for longer and is in no block is a fault."""

IN_ORDER, LATE = "in_order", "late"


async def seal_some(db: Database) -> int:
    """One block of every community that has something to seal; how many transactions."""
    async with db.read() as tx:
        those = await store.with_unsealed(tx, before_id=first_uuid7(tx.now - UNDER_WAY))
    sealed = 0
    for community_id in those:
        async with db.begin() as tx:
            sealed += await _seal(tx, community_id)
    return sealed


async def _seal(tx: Tx, community_id: UUID) -> int:
    if not await _alone(tx, community_id):
        return 0
    end = await store.hold(tx, community_id)
    ids = await store.next_ids(tx, community_id, end.through_id, first_uuid7(tx.now - UNDER_WAY), MOST)
    if ids:
        await _append(tx, end, ids, after=end.through_id, through=ids[-1], looked=end.looked)
        tx.after_commit.append(lambda: LEDGER_SEALED.labels(IN_ORDER).inc(len(ids)))
    return len(ids)


async def _append(
    tx: Tx, end: Chain, ids: list[UUID], *, after: UUID | None, through: UUID | None, looked: int
) -> None:
    transactions = await store.read(tx, end.community_id, ids)
    number = end.number + 1
    erased = await erasures.erased_among(tx, end.community_id, ids)
    made = block_hash(end.hash, number, _sealed_as(await _digests(transactions), erased))
    block = Block(end.community_id, number, made, tuple(ids), after, through, tx.now)
    await store.add_block(tx, block, looked=looked)


async def _digests(transactions: list[Transaction]) -> dict[UUID, bytes]:
    """Transaction → the digest of what stands there now."""
    out: dict[UUID, bytes] = {}
    async for part in in_turns(transactions):
        out |= {one.id: digest(written(one)) for one in part}
    return out


def _sealed_as(digests: Mapping[UUID, bytes], erased: Mapping[UUID, Sequence[Erased]]) -> list[bytes]:
    """What was erased goes into its block as it was posted, whether that was sealed by then or not."""
    return [erased[id][0].original if id in erased else made for id, made in digests.items()]


async def look_again(db: Database) -> int:
    """Look once more at ground that was sealed a while ago, one block of every community; how many were looked at."""
    async with db.read() as tx:
        those = await store.with_ground_to_look_at(tx, sealed_before=tx.now - AGAIN)
    looked = 0
    for community_id in those:
        async with db.begin() as tx:
            looked += await _look_at(tx, community_id)
    return looked


async def _alone(tx: Tx, community_id: UUID) -> bool:
    """Whether no other process seals here just now. The row of the chain would make it wait; this lets it go on."""
    return await try_lock(tx, f"sealing {community_id}")


async def _look_at(tx: Tx, community_id: UUID) -> int:
    if not await _alone(tx, community_id):
        return 0
    end = await store.hold(tx, community_id)
    number = end.looked + 1
    block = await store.block(tx, community_id, number)
    if block is None or block.sealed_at >= tx.now - AGAIN:
        return 0
    late = await _strangers(tx, block, await store.late_ids(tx, community_id))
    if late:
        await seal_late(tx, end, late, looked=number)
    else:
        await store.set_looked(tx, community_id, number)
    return 1


async def seal_late(tx: Tx, end: Chain, ids: list[UUID], *, looked: int) -> None:
    """A block of what is on sealed ground and in no block; `end` is held by the caller."""
    await _append(tx, end, ids[:MOST], after=None, through=None, looked=looked)
    tx.after_commit.append(lambda: LEDGER_SEALED.labels(LATE).inc(len(ids[:MOST])))


async def _strangers(tx: Tx, block: Block, late: Iterable[UUID]) -> list[UUID]:
    """What lies on the block's ground and is in no block."""
    if block.after_id is None or block.through_id is None:
        return []
    there = await store.ids_between(tx, block.community_id, block.after_id, block.through_id)
    known = {*block.ids, *late}
    return [id for id in there if id not in known]


# Verifying


class Verified:
    """How far a community's chain was followed, and what was found wrong, in words."""

    def __init__(self, community_id: UUID) -> None:
        self.community_id = community_id
        self.number = 0
        self.hash = NO_HASH
        self.through_id = NO_ID
        self.transactions = 0
        self.erased = 0
        self.faults: list[str] = []
        self.records: set[UUID] = set()

    def fault(self, what: str) -> None:
        self.faults.append(f"ledger of {self.community_id}: {what}")


async def verify_block(tx: Tx, so_far: Verified, late: Iterable[UUID]) -> bool:
    """Follow the chain one block further; False at its end."""
    number = so_far.number + 1
    block = await store.block(tx, so_far.community_id, number)
    if block is None:
        await _verify_end(tx, so_far)
        return False
    transactions = await store.read(tx, block.community_id, block.ids)
    there = {one.id for one in transactions}
    for id in block.ids:
        if id not in there:
            so_far.fault(f"transaction {id} is in block {number} and nowhere else")
    erased, digests = await erasures.erased_among(tx, block.community_id, block.ids), await _digests(transactions)
    if len(there) == len(block.ids) and block_hash(so_far.hash, number, _sealed_as(digests, erased)) != block.hash:
        so_far.fault(f"block {number} or something in it was changed after {block.sealed_at.isoformat()}")
    await _verify_erased(tx, so_far, transactions, digests, erased)
    for id in await _strangers(tx, block, late):
        if _made_before(id, tx.now - FORGIVEN):
            so_far.fault(f"transaction {id} was put behind the end of the chain and is in no block")
    # Followed from what is written there, so that one change is told once.
    so_far.number, so_far.hash = number, block.hash
    so_far.transactions += len(block.ids)
    if block.through_id is not None:
        so_far.through_id = block.through_id
    return True


async def _verify_erased(
    tx: Tx,
    so_far: Verified,
    transactions: Sequence[Transaction],
    digests: Mapping[UUID, bytes],
    erased: Mapping[UUID, Sequence[Erased]],
) -> None:
    """What an erasure left is still what it committed to, and every commitment is of what is there."""
    for id, times in erased.items():
        if id in digests and digests[id] != times[-1].digest:
            so_far.fault(f"transaction {id} was changed after its member was erased")
    records = {one.record_id for times in erased.values() for one in times}
    records |= {one.id for one in transactions if one.kind == ERASURE_RECORD}
    for record in await store.read(tx, so_far.community_id, sorted(records - so_far.records)):
        committed = await erasures.of_record(tx, so_far.community_id, record.id)
        if record.kind != ERASURE_RECORD or record.payload_hash != commitment(committed):
            so_far.fault(f"transaction {record.id} commits to other erased entries than there are")
        so_far.records.add(record.id)
    for id in sorted(records - so_far.records):
        so_far.fault(f"erased entries name transaction {id}, which is not there, as what commits to them")
    so_far.records |= records
    so_far.erased += len(erased)


def _made_before(id: UUID, at: datetime) -> bool:
    return id < first_uuid7(at)


async def _verify_end(tx: Tx, so_far: Verified) -> None:
    end = await store.end_of(tx, so_far.community_id)
    if end is None:
        return
    if (end.number, end.hash, end.through_id) != (so_far.number, so_far.hash, so_far.through_id):
        so_far.fault(f"its chain ends with block {end.number}, and block {so_far.number} is the last there is")


async def verify_chain(tx: Tx, community_id: UUID) -> Verified:
    """The whole chain of a community in one transaction."""
    so_far, late = Verified(community_id), await store.late_ids(tx, community_id)
    while await verify_block(tx, so_far, late):
        pass
    return so_far


async def verify_chains(tx: Tx) -> list[str]:
    """What is wrong with any chain, in words; reads the whole ledger."""
    wrong: list[str] = []
    for community_id in await store.communities(tx):
        wrong += (await verify_chain(tx, community_id)).faults
    return wrong
