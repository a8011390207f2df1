"""A service that starts with an empty database learns again who everybody is, from the log alone (K23).

Its consumer group stands where the lost database had come to, so the consumer would never see what lies before.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import select

from kit import codec, copies
from kit.contracts import MEMBERS_TOPIC
from kit.contracts.members import CommunityChanged
from kit.database import Database
from kit.errors import BadMessage
from kit.log import Log, Partition, Stored

logger = structlog.get_logger(__name__)

STEP = 1000
WAIT_SECONDS = 0.3


async def rebuild_copies(db: Database, log: Log) -> None:
    """Read the state topic from its beginning, when no community at all is known here; before consumers start.

    Communities are written last: they are what tells that it was done, so one that was cut short begins again.
    """
    async with db.read() as tx:
        if await tx.first(select(db.table("known_communities").c.community_id).limit(1)) is not None:
            return
    group = f"guildhall.{db.service}:rebuild-{uuid4()}"
    if not any((await log.lag(group, [MEMBERS_TOPIC])).values()):
        return
    communities: list[CommunityChanged] = []
    count = 0
    subscription = await log.subscribe(group, [MEMBERS_TOPIC])
    try:
        while any((await log.lag(group, [MEMBERS_TOPIC])).values()):
            records = await subscription.fetch(STEP, WAIT_SECONDS)
            if records:
                events = _states(records)
                communities += [e for e in events if isinstance(e, CommunityChanged)]
                async with db.begin() as tx:
                    await copies.apply(tx, [e for e in events if not isinstance(e, CommunityChanged)])
                await subscription.commit({Partition(r.topic, r.partition): r.offset + 1 for r in records})
                count += len(events)
    finally:
        await subscription.close()
    async with db.begin() as tx:
        await copies.apply(tx, communities)
    logger.info("copies.rebuilt", service=db.service, events=count)


def _states(records: Sequence[Stored]) -> list[Any]:
    """The state events among the records; what cannot be read is the consumer's to give up on."""
    out = []
    for record in records:
        try:
            envelope = codec.decode(record)
        except BadMessage:
            continue
        if envelope is not None and type(envelope.event) in copies.SUBSCRIPTIONS:
            out.append(envelope.event)
    return out
