"""Storing what the log holds: activities once each, new identities announced, types and imports counted."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from kit import outbox
from kit.clock import uuid7
from kit.contracts import Envelope, identity_member_id
from kit.contracts.events import Activity, IdentityObserved, ImportItemsRejected
from kit.database import Tx
from kit.json_schemas import compiled, first_problem
from services.events import domain
from services.events.canonical import CANONICAL
from services.events.handlers import numbering
from services.events.handlers.counting import count_days, days_of
from services.events.handlers.spoken import note_written
from services.events.handlers.texts import store_texts
from services.events.store import activities as store
from services.events.store import registry

STREAM = "activity"


async def store_activities(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """Every activity of the batch, in a fixed number of statements whatever its size; others in this process get a
    turn between its steps.

    People are stored under their computed ids: links are followed by whoever reads.
    """
    found = [e.event for e in batch]
    problems = await _problems(tx, found)
    await asyncio.sleep(0)
    days = await days_of(tx, [(a.community_id, a.effective_at) for a in found])
    rows = [_row(e, problems.get(e.event.event_id), day) for e, day in zip(batch, days, strict=True)]
    await asyncio.sleep(0)
    new = await store.add(tx, rows=rows)
    await count_days(tx, [row for row in rows if row["event_id"] in new])
    fresh = [a for a in found if a.event_id in new]
    await _announce_identities(tx, fresh)
    await _count_types(tx, fresh, problems)
    await _count_imports(tx, fresh)
    await note_written(tx, [e for e in batch if e.event.event_id in new])
    await numbering.note(tx, numbering.numbered(batch))
    await store_texts(tx, fresh)
    await store.set_tails(tx, stream=STREAM, following=_following(batch))


def _following(batch: Sequence[Envelope[Any]]) -> dict[int, int]:
    # A batch is in log order: the last of a partition is its furthest.
    return {e.origin.partition: e.origin.offset + 1 for e in batch}


def _row(e: Envelope[Activity], problem: str | None, day: date) -> dict[str, Any]:
    a = e.event
    return {
        "event_id": a.event_id,
        "community_id": a.community_id,
        "source": a.source,
        "source_id": a.id,
        "type": a.type,
        "subject": a.subject,
        "actor": a.actor,
        "actor_id": a.actor_id,
        "author": a.author,
        "author_id": a.author_id,
        "group_ref": a.group,
        "occurred_at": a.occurred_at,
        "received_at": a.received_at,
        "effective_at": a.effective_at,
        "import_name": a.import_name,
        "replay_id": a.replay_id,
        "connection_id": a.connection_id,
        "flags": a.flags,
        "problem": problem,
        "data": a.data,
        "log_partition": e.origin.partition,
        "log_offset": e.origin.offset,
        "day": day,
    }


async def _announce_identities(tx: Tx, fresh: Sequence[Activity]) -> None:
    """Who was never seen before is announced once per (community, identity), with the time of the first sight."""
    first: dict[tuple[UUID, str], tuple[datetime, bool, bool]] = {}
    for a in fresh:
        for identity, is_bot in _identities(a):
            key = (a.community_id, identity)
            if key not in first or a.effective_at < first[key][0]:
                first[key] = (a.effective_at, is_bot, a.import_name is not None)
    rows = [{"community_id": c, "identity": i, "first_seen_at": at} for (c, i), (at, _, _) in first.items()]
    for community_id, identity in sorted(await registry.see_identities(tx, rows=rows)):
        at, is_bot, history = first[community_id, identity]
        outbox.add(
            tx,
            IdentityObserved(
                community_id=community_id,
                identity=identity,
                member_id=identity_member_id(community_id, identity),
                first_seen_at=at,
                is_bot=is_bot,
                history=history,
            ),
        )


def _identities(a: Activity) -> Iterable[tuple[str, bool]]:
    mentions = a.data.get("mentions")
    named = [a.author, a.data.get("invited_by"), *(mentions if isinstance(mentions, list) else ())]
    if a.actor and not a.actor.startswith("member:"):
        yield a.actor, a.data.get("bot") is True
    for identity in named:
        # A mention is somebody's claim about a third person: only a well-formed one makes a member.
        fit = isinstance(identity, str) and domain.wrong_identity(identity, "") is None
        if fit and identity != a.actor and not identity.startswith("member:"):
            yield identity, False


async def _count_types(tx: Tx, fresh: Sequence[Activity], problems: Mapping[UUID, str]) -> None:
    many = Counter((a.community_id, a.type) for a in fresh)
    wrong = Counter((a.community_id, a.type) for a in fresh if a.event_id in problems) if problems else Counter()
    rows = [
        {"community_id": c, "type": name, "count": n, "problems": wrong[c, name], "last_at": tx.now}
        for (c, name), n in many.items()
    ]
    await registry.count_types(tx, rows=rows)


async def _count_imports(tx: Tx, fresh: Sequence[Activity]) -> None:
    many = Counter((a.community_id, a.import_name) for a in fresh if a.import_name)
    rows = [
        {"community_id": c, "name": name, "stored": n, "rejected": 0, "last_at": tx.now}
        for (c, name), n in many.items()
    ]
    await registry.count_imports(tx, rows=rows)


async def _problems(tx: Tx, found: Sequence[Activity]) -> dict[UUID, str]:
    """Where the data is not what its type's schema says (E8): noted here, whatever the door did."""
    wanted = sorted({(a.community_id, a.type) for a in found if a.type not in CANONICAL})
    newest = await registry.newest_schemas(tx, types=wanted)
    own = {key: msgspec.json.encode(schema) for key, schema in newest.items()}
    out: dict[UUID, str] = {}
    for a in found:
        schema = own.get((a.community_id, a.type), b"")
        problem = first_problem(_compiled(schema) if schema else _canonical(a.type), a.data)
        if problem is not None:
            out[a.event_id] = problem
    return out


@lru_cache(maxsize=256)
def _canonical(name: str) -> Any:
    schema = CANONICAL.get(name)
    return compiled(schema) if schema is not None else None


@lru_cache(maxsize=1024)
def _compiled(schema: bytes) -> Any:
    return compiled(msgspec.json.decode(schema))


async def note_rejections(tx: Tx, batch: list[Envelope[ImportItemsRejected]]) -> None:
    """Items of imports that were refused at the door, so that an operator can see and mend them."""
    rows, counts = [], Counter[tuple[UUID, str]]()
    for e in batch:
        counts[e.event.community_id, e.event.import_name] += len(e.event.items)
        rows += [
            {
                "id": uuid7(tx.now),
                "community_id": e.event.community_id,
                "name": e.event.import_name,
                "source_id": item.id,
                "code": item.code,
                "pointer": item.pointer,
                "message": item.message,
                "at": e.time,
            }
            for item in e.event.items
        ]
    await registry.add_problems(tx, rows=rows)
    totals = [
        {"community_id": c, "name": name, "stored": 0, "rejected": n, "last_at": tx.now}
        for (c, name), n in counts.items()
    ]
    await registry.count_imports(tx, rows=totals)
