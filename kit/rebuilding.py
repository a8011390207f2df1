"""A service that starts with an empty database learns again who everybody is, from the log alone (K23).

Its consumer group stands where the lost database had come to, so the consumer would never see what lies before. The
state events go to the handlers the consumer would give them to, the service's own among them: what it made when a
community came into being (its starter rules, say) comes back with the community.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import select

from kit import codec, copies
from kit.contracts import MEMBERS_TOPIC, Envelope
from kit.contracts.members import CommunityChanged
from kit.database import Tx
from kit.errors import BadMessage
from kit.log import Partition, Stored
from kit.service import ServiceRuntime

logger = structlog.get_logger(__name__)

STEP = 1000
WAIT_SECONDS = 0.3


async def rebuild(one: ServiceRuntime) -> None:
    """Read the state topic from its beginning, when no community at all is known here; before consumers start.

    Handlers of state events therefore meet events that the consumer brings too, and those that another replica is
    handling at this moment: they add what is missing and change nothing that is there.
    Communities are written last: they are what tells that it was done, so one that was cut short begins again.
    """
    async with one.db.read() as tx:
        if await tx.first(select(one.db.table("known_communities").c.community_id).limit(1)) is not None:
            return
    group = f"guildhall.{one.service.name}:rebuild-{uuid4()}"
    if not any((await one.log.lag(group, [MEMBERS_TOPIC])).values()):
        return
    communities: list[Envelope[CommunityChanged]] = []
    count = 0
    subscription = await one.log.subscribe(group, [MEMBERS_TOPIC])
    try:
        while any((await one.log.lag(group, [MEMBERS_TOPIC])).values()):
            records = await subscription.fetch(STEP, WAIT_SECONDS)
            if records:
                states = _states(records)
                communities += [e for e in states if type(e.event) is CommunityChanged]
                async with one.db.begin() as tx:
                    await _hand_over(one, tx, [e for e in states if type(e.event) is not CommunityChanged])
                await subscription.commit({Partition(r.topic, r.partition): r.offset + 1 for r in records})
                count += len(states)
    finally:
        await subscription.close()
    async with one.db.begin() as tx:
        await _hand_over(one, tx, communities)
    logger.info("copies.rebuilt", service=one.service.name, events=count)


async def _hand_over(one: ServiceRuntime, tx: Tx, events: Sequence[Envelope[Any]]) -> None:
    for cls in copies.SUBSCRIPTIONS:
        batch = [e for e in events if type(e.event) is cls]
        if batch:
            for handler in one.handlers[cls]:
                await handler(tx, batch)


def _states(records: Sequence[Stored]) -> list[Envelope[Any]]:
    """The state events among the records; what cannot be read is the consumer's to give up on."""
    out = []
    for record in records:
        try:
            envelope = codec.decode(record)
        except BadMessage:
            continue
        if envelope is not None and type(envelope.event) in copies.SUBSCRIPTIONS:
            out.append(envelope)
    return out
