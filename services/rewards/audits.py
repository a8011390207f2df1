"""What always holds in the rewards service; looked at by `guildhall doctor --books` and after a move."""

from typing import Any

from kit.database import Tx
from kit.service import Audit
from services.rewards.handlers.decaying import verify as verify_decayed
from services.rewards.handlers.finalising import verify as verify_finalized
from services.rewards.handlers.ledger import verify
from services.rewards.handlers.refolding import verify_streaks
from services.rewards.handlers.sealing import verify_chains
from services.rewards.store import checking


async def boards(tx: Tx) -> list[str]:
    """Where a board does not say what the entries say, or a finalised period no longer what it said then, in words; []
    when every one does."""
    wrong = [
        f"{_name(r)}: {r.scored} members, {r.tallied} in its tallies, {r.bucketed} in its buckets"
        for r in await checking.wrong_totals(tx)
    ]
    wrong += [
        f"{_name(r)}: scores sum to {r.scores}, its entries to {r.entries}" for r in await checking.wrong_sums(tx)
    ]
    return wrong + await verify_decayed(tx) + await verify_finalized(tx)


def _name(row: Any) -> str:
    return f"board {row.board} of {row.community_id}, {row.kind} {row.key}"


WHOLE = (Audit("ledger", verify), Audit("boards", boards))
"""Those that ask the database about all of it at once."""

AUDITS = (*WHOLE, Audit("chain", verify_chains), Audit("streaks", verify_streaks))
