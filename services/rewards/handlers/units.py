"""Units of a community."""

from dataclasses import asdict
from uuid import UUID

from kit.database import Tx
from kit.errors import Conflict, FieldError, Unprocessable
from services.rewards.domain.ledger import DEBT, ESCROW, EXPIRED, FREEZES, RECORD_DEBT, SYSTEM_ACCOUNTS, Unit
from services.rewards.store import ledger as store


async def put(tx: Tx, community_id: UUID, unit: Unit) -> None:
    """Create the unit (version 1), or change the one with the version before; Conflict when that one is gone.
    Unprocessable for other terms than their own for freezes, which follow from check-ins."""
    if unit.id == FREEZES.id:
        _check_freezes(unit)
    if unit.version > 1:
        done = await store.change_unit(tx, community_id, unit)
    else:
        done = bool(await store.add_units(tx, [(community_id, unit)]))
        await store.open_system_accounts(tx, [(community_id, name, unit.id) for name in SYSTEM_ACCOUNTS])
    if done and unit.clawback == RECORD_DEBT:
        await store.open_account(tx, community_id, unit.id, DEBT)
    if done and unit.expires_after_days is not None:
        # A unit that was made by a replica of before there were holds has no `escrow`, and one made later by a hold
        # would not know that points expire.
        for name in (ESCROW, EXPIRED):
            await store.open_account(tx, community_id, unit.id, name)
    if done:
        await store.set_lots(tx, community_id, unit.id, unit.expires_after_days)
    if not done:
        raise Conflict("somebody changed this unit at the same moment; read it again", code="version_changed")


def _check_freezes(unit: Unit) -> None:
    own, wanted = asdict(FREEZES), asdict(unit)
    wrong = [
        FieldError(f"/{name}", "unit_follows", f"{own[name]!r} for freezes, which follow from check-ins")
        for name in own
        if name not in ("id", "name", "version") and wanted[name] != own[name]
    ]
    if wrong:
        raise Unprocessable("only the name of freezes can be changed", code="unit_follows", errors=wrong)
