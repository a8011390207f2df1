"""Telling that a budget is nearly used up (R83): what rules may give everybody together in a window."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from kit import outbox
from kit.contracts.rewards import BudgetReached
from kit.database import Tx
from kit.metrics import BUDGETS_REACHED
from services.rewards.domain.budgets import Reached


def announce(tx: Tx, reached: Sequence[Reached], history: Mapping[UUID, bool]) -> None:
    """`history` says by event whether it is imported history, whose budgets are nobody's concern any more."""
    for one in reached:
        if history[one.want.event_id]:
            continue
        outbox.add(tx, _event(one))
        tx.after_commit.append(BUDGETS_REACHED.labels(str(one.percent)).inc)


def _event(one: Reached) -> BudgetReached:
    want, limit = one.want, one.limit
    return BudgetReached(
        community_id=want.community_id,
        unit=want.unit,
        rule_id=want.rule.id if limit.of_rule else None,
        of=limit.of,
        per=limit.per,
        window=limit.window,
        limit=limit.limit,
        used=one.used,
        percent=one.percent,
        effective_at=want.at,
    )
