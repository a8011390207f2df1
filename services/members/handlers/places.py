"""Communities: their charter, their zone and when their day begins."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.clock import uuid7
from kit.contracts import Envelope
from kit.contracts.members import CommunityChanged, DayChangeDue
from kit.database import Tx
from kit.days import day_bounds, local_day
from kit.errors import Conflict, NotFound
from services.members.domain import DAY_CHANGES_APART, day_changes_from
from services.members.handlers import segments
from services.members.store import places

CHARTER_FIELDS = ("purpose", "audience", "gives", "gets")


async def _announce_community(tx: Tx, community_id: UUID) -> Any:
    row = await places.community(tx, community_id=community_id)
    assert row is not None
    event = CommunityChanged(
        community_id=row.id,
        version=row.version,
        name=row.name,
        zone=row.zone,
        day_start=row.day_start,
        locale=row.locale,
        state=row.state,
        purpose=row.charter.get("purpose", ""),
        audience=row.charter.get("audience", ""),
    )
    outbox.add(tx, event)
    await copies.apply(tx, [event])
    return row


async def create_community(
    tx: Tx, *, name: str, zone: str, day_start: int, locale: str, charter: dict[str, str]
) -> Any:
    """A new community; its row."""
    community_id = uuid7(tx.now)
    row = {
        "id": community_id,
        "version": 1,
        "name": name,
        "zone": zone,
        "day_start": day_start,
        "locale": locale,
        "state": "active",
        "charter": charter,
        "created_at": tx.now,
        "changed_at": tx.now,
    }
    await places.add_community(tx, row=row)
    await segments.add_defaults(tx, community_id)
    return await _announce_community(tx, community_id)


async def existing_community(tx: Tx, community_id: UUID, *, lock: bool = False) -> Any:
    row = await places.community(tx, community_id=community_id, lock=lock)
    if row is None:
        raise NotFound("no such community", code="community_unknown")
    return row


async def change_community(
    tx: Tx, *, community_id: UUID, changes: dict[str, Any], if_match: Callable[[int], None]
) -> Any:
    """Write changed fields as a new version; parts of the charter are merged. The row.

    Another zone or day start holds from the beginning of the community's next day, so that no day is counted twice
    or cut short under people who earn today (K40); until then it stands in `next_*`, and may be corrected or taken
    back. Conflict within seven days of the change before (R22).
    """
    row = await existing_community(tx, community_id, lock=True)
    if_match(row.version)
    values: dict[str, Any] = {name: changes[name] for name in ("name", "locale") if name in changes}
    charter = {name: changes[name] for name in CHARTER_FIELDS if name in changes}
    if charter:
        values["charter"] = {**row.charter, **charter}
    if "zone" in changes or "day_start" in changes:
        values |= await _next_day(tx, row, changes)
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    await places.save_community(
        tx, community_id=row.id, values={**values, "version": row.version + 1, "changed_at": tx.now}
    )
    return await _announce_community(tx, row.id)


async def _next_day(tx: Tx, row: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """What stands in `next_*`, and the due work that will make it the present."""
    zone = changes.get("zone", row.next_zone or row.zone)
    planned = row.next_day_start if row.next_day_start is not None else row.day_start
    day_start = changes.get("day_start", planned)
    if (zone, day_start) == (row.next_zone, row.next_day_start):
        return {}
    begun = row.next_from is not None and row.next_from <= tx.now
    if not begun and (zone, day_start) == (row.zone, row.day_start):
        await outbox.cancel(tx, _due_key(row.id))
        return {"next_zone": None, "next_day_start": None, "next_from": None}
    _check_apart(tx.now, row, begun)
    await outbox.cancel(tx, _due_key(row.id))
    today = local_day(tx.now, row.zone, row.day_start)
    begins = day_bounds(today, row.zone, row.day_start)[1]
    due = DayChangeDue(community_id=row.id, due_at=begins)
    outbox.add(tx, due, not_before=begins, due_key=_due_key(row.id))
    return {"next_zone": zone, "next_day_start": day_start, "next_from": begins}


def _check_apart(now: datetime, row: Any, begun: bool) -> None:
    """`begun`: what stands in `next_*` holds already, though it is not written yet."""
    holds = (row.next_from, row.next_zone, row.next_day_start) if begun else (row.day_since, row.zone, row.day_start)
    if holds[0] is None:
        return
    possible = day_changes_from(*holds)
    if now < possible:
        raise Conflict(
            f"zone and day start changed less than {DAY_CHANGES_APART.days} days ago; change them again from"
            f" {possible:%Y-%m-%dT%H:%M:%SZ} on",
            code="day_changed_lately",
            possible_from=f"{possible:%Y-%m-%dT%H:%M:%SZ}",
        )


def _due_key(community_id: UUID) -> str:
    return f"day:{community_id}"


async def change_days(tx: Tx, batch: list[Envelope[DayChangeDue]]) -> None:
    """A community's next day has begun: what stood in `next_*` holds. Work that was moved meanwhile is passed over."""
    due = {(e.event.community_id, e.event.due_at) for e in batch}
    for community_id in sorted({c for c, _ in due}):
        row = await places.community(tx, community_id=community_id, lock=True)
        # Told by the moment it was planned for and not by this process's clock, which may be a little behind.
        if row is None or (community_id, row.next_from) not in due:
            continue
        values = {
            "zone": row.next_zone,
            "day_start": row.next_day_start,
            "day_since": row.next_from,
            "next_zone": None,
            "next_day_start": None,
            "next_from": None,
            "version": row.version + 1,
            "changed_at": tx.now,
        }
        await places.save_community(tx, community_id=community_id, values=values)
        await _announce_community(tx, community_id)
