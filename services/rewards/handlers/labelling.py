"""What boards can be narrowed to, learned from activity: in which groups members were active, on which platforms, and
since when, which tells how long somebody is known (`handlers.signals`)."""

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

from kit.contracts.events import Activity
from kit.database import Database, Tx
from services.rewards.domain.signal_rows import micros
from services.rewards.handlers.purging import is_history
from services.rewards.store.narrowing import GROUP, PLATFORM, Label, add_labels, put_labels

KNOWN_MOST = 100_000
Known = tuple[UUID, Label, UUID]

_known: WeakKeyDictionary[Database, dict[Known, int]] = WeakKeyDictionary()
"""What this process has seen committed, since when. Only spares statements: labels are never taken back."""


async def note(tx: Tx, found: Sequence[Activity], ids: Mapping[tuple[UUID, UUID], UUID]) -> None:
    """The groups and platforms of those who acted, and since when; mostly there is nothing new.

    Since when is the time of what came first; of history, which comes when it comes, the earliest.
    """
    known = _known.setdefault(tx.database, {})
    first: dict[Known, int] = {}
    earlier: dict[Known, int] = {}
    for a in found:
        if a.actor_id is not None and (a.community_id, a.actor_id) in ids:
            negated = -micros(a.effective_at)
            for label in labels_of(a):
                key = a.community_id, label, ids[a.community_id, a.actor_id]
                if key not in known:
                    first.setdefault(key, negated)
                if is_history(a) and known.get(key, negated) <= negated:
                    earlier[key] = max(earlier.get(key, negated), negated)
    new = {key: negated for key, negated in first.items() if key not in earlier}
    earlier = {key: max(negated, first.get(key, negated)) for key, negated in earlier.items()}
    lower = {key: negated for key, negated in earlier.items() if known.get(key) != negated}
    if not new and not lower:
        return
    # In one statement, so that two batches take them in one order.
    if lower:
        await put_labels(tx, {**new, **lower})
    else:
        await add_labels(tx, new)
    tx.after_commit.append(partial(_remember, known, {**new, **lower}))


def labels_of(a: Activity) -> list[Label]:
    """The group and the platform that the actor was active in."""
    platform = (a.actor or "").partition(":")[0]
    return [label for label in ((GROUP, a.group or ""), (PLATFORM, platform)) if label[1]]


def _remember(known: dict[Known, int], new: Mapping[Known, int]) -> None:
    if len(known) >= KNOWN_MOST:
        known.clear()
    known.update({key: max(negated, known.get(key, negated)) for key, negated in new.items()})
