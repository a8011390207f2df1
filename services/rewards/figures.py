"""What a person compares after a move: the sums of the ledger, unit by unit, and the top of every board."""

from collections.abc import Iterable
from hashlib import sha256

from kit.database import Tx
from services.rewards.store import checking

TOP = 100


async def figures(tx: Tx) -> dict[str, str]:
    """A line for each unit of the ledger and for each board; a board's is a digest of the first hundred, with score and
    time, of every period it ever had."""
    out = {
        f"ledger {r.unit}": f"{r.entries} entries, members have {r.members}, all sums to {r.total}"
        for r in await checking.sums_by_unit(tx)
    }
    boards: dict[str, tuple[int, list[str]]] = {}
    for row in await checking.periods(tx):
        top = await checking.top(tx, row.slot, TOP)
        lines = [f"{row.kind} {row.key} {p.member_id} {p.score} {p.reached_at.isoformat()}" for p in top]
        name = f"board {row.board} of {row.community_id}"
        count, told = boards.get(name, (0, []))
        boards[name] = count + 1, [*told, _digest(lines)]
    return out | {name: f"top {TOP} of {n} periods: {_digest(told)[:16]}" for name, (n, told) in boards.items()}


def _digest(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()
