"""Kept beside the activities: who wrote what is spoken of later, and when connections came and went."""

from typing import Any

from kit.contracts import Envelope, activity_event_id
from kit.contracts.events import Activity, ConnectionStateChanged
from kit.database import Tx
from services.events.handlers.counting import count_days, days_of
from services.events.handlers.receiving import WRITTEN
from services.events.hearing import Ref
from services.events.store import activities as store
from services.events.store import connections

_PLATFORMS, _CONNECTIONS = "/platforms/", "/connections/"
MOST_REF = 200


async def note_written(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """What came through a connection, by the names its platform has for it."""
    rows: dict[Ref, dict[str, Any]] = {}
    for e in batch:
        a = e.event
        if a.connection_id is None or a.type not in WRITTEN or not a.actor or not a.subject or not a.group:
            continue
        scope = a.source.removeprefix(_PLATFORMS).removeprefix(_CONNECTIONS)
        names = [(scope, a.subject)]
        if isinstance(a.data.get("ref"), str):
            names.append((str(a.connection_id), a.data["ref"]))
        row = {"subject": a.subject, "author": a.actor, "at": a.effective_at}
        for scope, ref in names:
            if len(scope) <= 40 and 0 < len(ref) <= MOST_REF and len(a.subject) <= 300:
                names_it = {"community_id": a.community_id, "group_ref": a.group, "scope": scope, "ref": ref}
                rows[a.community_id, a.group, scope, ref] = {**names_it, **row}
    await connections.note_written(tx, rows=[rows[key] for key in sorted(rows)])


async def keep_connection_states(tx: Tx, batch: list[Envelope[ConnectionStateChanged]]) -> None:
    """On the community's timeline, as activities that nobody did."""
    rows = []
    days = await days_of(tx, [(e.event.community_id, e.event.since) for e in batch])
    for e, day in zip(batch, days, strict=True):
        c, source = e.event, f"{_CONNECTIONS}{e.event.connection_id}"
        id = f"{c.state}:{c.since.isoformat()}"
        rows.append(
            {
                **dict.fromkeys(("subject", "actor", "actor_id", "author", "author_id", "group_ref"), None),
                **dict.fromkeys(("import_name", "replay_id", "problem"), None),
                "event_id": activity_event_id(c.community_id, source, id),
                "community_id": c.community_id,
                "connection_id": c.connection_id,
                "source": source,
                "source_id": id,
                "type": f"connection.{c.state}",
                "occurred_at": c.since,
                "received_at": e.time,
                "effective_at": c.since,
                "flags": (),
                "data": {"reason": c.reason},
                "log_partition": e.origin.partition,
                "log_offset": e.origin.offset,
                "day": day,
            }
        )
    new = await store.add(tx, rows=rows)
    await count_days(tx, [row for row in rows if row["event_id"] in new])
