"""What boards can be narrowed to, learned from activity: in which groups members were active, on which platforms."""

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

from kit.contracts.events import Activity
from kit.database import Database, Tx
from services.rewards.store.narrowing import GROUP, PLATFORM, Label, add_labels

KNOWN_MOST = 100_000
Known = tuple[UUID, Label, UUID]

_known: WeakKeyDictionary[Database, set[Known]] = WeakKeyDictionary()
"""What this process has seen committed. Only spares statements: labels are never taken back."""


async def note(tx: Tx, found: Sequence[Activity], ids: Mapping[tuple[UUID, UUID], UUID]) -> None:
    """The groups and platforms of those who acted; mostly there is nothing new."""
    known = _known.setdefault(tx.database, set())
    told = {
        (a.community_id, label, ids[a.community_id, a.actor_id])
        for a in found
        if a.actor_id is not None and (a.community_id, a.actor_id) in ids
        for label in _labels(a)
    }
    new = sorted(told - known)
    if not new:
        return
    await add_labels(tx, new)
    tx.after_commit.append(partial(_remember, known, new))


def _labels(a: Activity) -> list[Label]:
    platform = (a.actor or "").partition(":")[0]
    return [label for label in ((GROUP, a.group or ""), (PLATFORM, platform)) if label[1]]


def _remember(known: set[Known], new: Sequence[Known]) -> None:
    if len(known) >= KNOWN_MOST:
        known.clear()
    known.update(new)
