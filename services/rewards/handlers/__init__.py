"""What the rewards service does, one module a feature, and what it listens to."""

from kit.contracts import Envelope
from kit.contracts.events import Activity, GapChanged
from kit.contracts.members import CommunityChanged, MemberChanged
from kit.database import Tx
from kit.service import Handler
from services.rewards.handlers import (
    absences,
    answering,
    badges,
    calendars,
    checkins,
    earning,
    outages,
    rules,
    segments,
)
from services.rewards.handlers.erasing import asking


async def welcome(tx: Tx, batch: list[Envelope[CommunityChanged]]) -> None:
    """What a community begins with, and the zone its days go by."""
    ids = sorted({e.event.community_id for e in batch})
    await badges.add_defaults(tx, ids)
    await rules.welcome(tx, batch)
    await checkins.add_defaults(tx, ids)
    await calendars.follow_communities(tx, batch)


async def know_members(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """Whose days go by which zone, who is on no board, who is in which segment, who is to be erased."""
    await segments.hold(tx, batch)
    await calendars.follow_members(tx, batch)
    await absences.follow_members(tx, batch)
    await segments.follow_members(tx, batch)
    await asking.follow_members(tx, batch)


async def score_and_answer(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """What activities are worth, then what there is to say to those who asked."""
    await earning.score(tx, batch)
    await answering.answer(tx, batch)


SUBSCRIPTIONS: dict[type, Handler] = {
    CommunityChanged: welcome,
    MemberChanged: know_members,
    Activity: score_and_answer,
    GapChanged: outages.follow_gaps,
}
