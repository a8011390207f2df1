"""What an installation has in its books, read from its tables, to be compared with the oracle's answer."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Table, func, select

from kit.database import Database
from tests.support.oracle import Answer, Period

Places = dict[UUID, tuple[int, int]]


@dataclass(frozen=True)
class Books:
    """`boards`: period → member → (rank, score), ranks worked out here from the scores that are stored."""

    balances: dict[str, dict[UUID, int]]
    boards: dict[Period, Places]
    per_rule: dict[str, int]
    transactions: int
    unbalanced: int
    sums: dict[str, int]


def table(db: Database, name: str) -> Table:
    return db.metadata.tables[name]


async def read_books(db: Database, community: UUID, board: str = "xp") -> Books:
    """The ledger and one board of a community, from the database of the rewards service."""
    accounts, entries, transactions = table(db, "accounts"), table(db, "entries"), table(db, "transactions")
    boards, periods, scores = table(db, "boards"), table(db, "board_periods"), table(db, "board_scores")
    mine = entries.c.community_id == community
    async with db.read() as tx:
        kept = await tx.all(select(accounts).where(accounts.c.community_id == community))
        lines = select(entries.c.owner_id, entries.c.unit, func.sum(entries.c.amount).label("amount"))
        booked = await tx.all(lines.where(mine).group_by(entries.c.owner_id, entries.c.unit))
        skewed = select(entries.c.transaction_id).where(mine).group_by(entries.c.transaction_id, entries.c.unit)
        unbalanced = len(await tx.all(skewed.having(func.sum(entries.c.amount) != 0)))
        count = select(func.count()).where(transactions.c.community_id == community)
        grants = (
            select(transactions.c.rule_id, func.sum(entries.c.amount).label("amount"))
            .join(entries, entries.c.transaction_id == transactions.c.id)
            .where(mine, entries.c.scored == 1, entries.c.unit == "xp", transactions.c.rule_id.is_not(None))
            .group_by(transactions.c.rule_id)
        )
        per_rule = {row.rule_id: int(row.amount) for row in await tx.all(grants)}
        listed = (
            select(periods.c.kind, periods.c.key, scores.c.member_id, scores.c.negated)
            .join(scores, scores.c.slot == periods.c.slot)
            .join(boards, boards.c.generation == periods.c.generation)
            .where(boards.c.community_id == community, boards.c.id == board)
        )
        places = await tx.all(listed)
        total = int(await tx.scalar(count))
    balances: dict[str, dict[UUID, int]] = {}
    sums: Counter[str] = Counter()
    for row in kept:
        sums[row.unit] += row.balance
        if not row.system and row.balance:
            balances.setdefault(row.unit, {})[row.owner_id] = row.balance
    in_lines = {(row.owner_id, row.unit): int(row.amount) for row in booked}
    in_accounts = {
        (row.owner_id, row.unit): row.balance for row in kept if row.balance or (row.owner_id, row.unit) in in_lines
    }
    assert in_accounts == in_lines, "an account's balance is not the sum of its entries"
    by_period: dict[Period, dict[UUID, int]] = {}
    for row in places:
        by_period.setdefault((row.kind, row.key), {})[row.member_id] = -row.negated
    return Books(
        balances=balances,
        boards={period: ranked(one) for period, one in by_period.items()},
        per_rule=per_rule,
        transactions=total,
        unbalanced=unbalanced,
        sums=dict(sums),
    )


def ranked(scores: Mapping[UUID, int]) -> Places:
    """As in a competition: 1, 2, 2, 4."""
    above: dict[int, int] = {}
    for position, score in enumerate(sorted(scores.values(), reverse=True)):
        above.setdefault(score, position)
    return {member: (above[score] + 1, score) for member, score in scores.items()}


def member_id(community: UUID, identity: str) -> UUID:
    """The id of somebody seen only in chat: UUIDv5 of the community and the identity, as documented."""
    return uuid5(community, identity)


def assert_equal(books: Books, answer: Answer, community: UUID) -> None:
    """The books say what the oracle says: every balance in each unit, every place on every board, every rule."""
    want = {member_id(community, name): amount for name, amount in answer.balances.items() if amount}
    for unit in ("points", "xp"):
        assert books.balances.get(unit, {}) == want, f"balances in {unit}"
    contributed = {member_id(community, name): amount for name, amount in answer.contribution.items() if amount}
    assert books.balances.get("contribution", {}) == contributed
    assert books.per_rule == dict(answer.per_rule)
    assert books.transactions == 2 * answer.grants + answer.contributions, "one transaction a grant and unit"
    assert (books.unbalanced, set(books.sums.values())) == (0, {0})
    assert books.boards.keys() == answer.scores.keys()
    for period, places in books.boards.items():
        wanted = {member_id(community, name): place for name, place in answer.board(*period).items()}
        assert places == wanted, f"board of {period}"


def stored_once(rows: list[Any], activities: list[dict[str, Any]]) -> None:
    """Every activity is stored, once, and nothing else is; rows have `source` and `source_id`."""
    have = Counter((row.source, row.source_id) for row in rows)
    assert [key for key, times in have.items() if times > 1] == [], "stored twice"
    want = {(activity["source"], activity["id"]) for activity in activities}
    missing, strange = want - have.keys(), have.keys() - want
    assert not missing, f"{len(missing)} missing, as {sorted(missing)[:3]}"
    assert not strange, f"{len(strange)} unexpected, as {sorted(strange)[:3]}"


def in_order(rows: list[Any], activities: list[dict[str, Any]], *, moved: bool = False) -> None:
    """What a member did stands on the log, and was stored from there, in the order it was sent: its first appearance
    counts. Rows have `source`, `source_id`, `log_partition` and `log_offset` as well. What came after an installation
    `moved` stands on another log."""
    places = {(row.source, row.source_id): (row.log_partition, row.log_offset) for row in rows}
    last: dict[str, tuple[int, int]] = {}
    for activity in activities:
        actor = activity["data"].get("actor")
        if actor is None:
            continue
        place = places[activity["source"], activity["id"]]
        before = last.get(actor, (place[0], -1))
        if moved and place[0] != before[0]:
            before = place[0], -1
        assert place[0] == before[0], f"{actor} is on two partitions"
        assert place[1] > before[1], f"{activity['id']} of {actor} stands before what was sent before it"
        last[actor] = place
