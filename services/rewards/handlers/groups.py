"""Groups' accounts are opened before the ledger is entered: from then on their ids are enough."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from kit.contracts.events import Activity
from kit.database import Tx
from services.rewards.domain.engine import Want
from services.rewards.domain.groups import account_name, group_of, is_group
from services.rewards.store import groups as store
from services.rewards.store.ledger import open_system_accounts


async def open_accounts(tx: Tx, found: Sequence[Activity], wants: Iterable[Want]) -> None:
    """The accounts of the groups that these wants of the activities may pay: now, when it was looked at, or when there
    is a place for it."""
    paid = {(w.event_id, w.unit) for w in wants if w.refusal is None and w.member_id and is_group(w.member_id)}
    if not paid:
        return
    of = {a.event_id: (a.community_id, account_name(a.group)) for a in found if a.group}
    await open_system_accounts(tx, {(*of[event_id], unit) for event_id, unit in paid})


async def open_like(tx: Tx, other: Tx, community_id: UUID, paid: Iterable[tuple[UUID, str]]) -> None:
    """Those of the accounts (owner, unit) that are groups' and open in the `other` database."""
    those = {(owner_id, unit) for owner_id, unit in paid if is_group(owner_id)}
    names = await store.names(other, community_id, {owner_id for owner_id, _ in those})
    keys = {(community_id, names[owner_id], unit) for owner_id, unit in those if owner_id in names}
    await open_system_accounts(tx, keys)


async def names_of(tx: Tx, community_id: UUID, owner_ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """What the groups are called whose accounts are among these; of all others nothing."""
    ids = {id for id in owner_ids if id is not None and is_group(id)}
    return {id: group_of(name) for id, name in (await store.names(tx, community_id, ids)).items()} if ids else {}
