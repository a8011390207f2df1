"""The chain over the ledger: what anybody may write down today, to be sure tomorrow that nothing was changed."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from kit.errors import NotFound
from kit.http import problems
from services.rewards.api.common import Db, ReaderOrMember
from services.rewards.domain.chain import Block
from services.rewards.store import chain as store

router = APIRouter(tags=["rewards: ledger"])


class BlockOut(BaseModel):
    """`hash` stands for every transaction in this block and in all before it."""

    number: int
    hash: str = Field(description="SHA-256, 64 hexadecimal digits.")
    transactions: int
    sealed_at: datetime


def _shown(block: Block | None) -> BlockOut:
    if block is None:
        raise NotFound("no such block (yet: sealing follows posting by some seconds)", code="block_unknown")
    return BlockOut(number=block.number, hash=block.hash.hex(), transactions=len(block.ids), sealed_at=block.sealed_at)


@router.get("/v1/entries/chain", summary="The last block of the ledger's chain", responses=problems(400, 404))
async def chain_end(db: Db, caller: ReaderOrMember) -> BlockOut:
    """Write number and hash down: `guildhall ledger verify --block NUMBER:HASH` says whether they still hold."""
    async with db.read() as tx:
        end = await store.end_of(tx, caller.community_id)
        return _shown(None if end is None else await store.block(tx, caller.community_id, end.number))


@router.get("/v1/entries/chain/{number}", summary="A block of it", responses=problems(400, 404, 422))
async def chain_block(db: Db, caller: ReaderOrMember, number: Annotated[int, Path(ge=1, lt=2**63)]) -> BlockOut:
    async with db.read() as tx:
        return _shown(await store.block(tx, caller.community_id, number))
