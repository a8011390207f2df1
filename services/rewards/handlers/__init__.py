"""What the rewards service does, one module a feature, and what it listens to."""

from kit.contracts import Envelope
from kit.contracts.events import Activity
from kit.contracts.members import CommunityChanged
from kit.database import Tx
from kit.service import Handler
from services.rewards.handlers import answering, earning, rules


async def score_and_answer(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """What activities are worth, then what there is to say to those who asked."""
    await earning.score(tx, batch)
    await answering.answer(tx, batch)


SUBSCRIPTIONS: dict[type, Handler] = {
    CommunityChanged: rules.welcome,
    Activity: score_and_answer,
}
