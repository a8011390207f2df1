"""The badges a community begins with; why these and no others stands in docs/rewards.md."""

from services.rewards.domain.badges import EVENTS, PEOPLE, STREAK, Badge, Criterion
from services.rewards.domain.checkins import DEFAULT_ID


def _streak(days: int) -> Criterion:
    return Criterion(kind=STREAK, series=DEFAULT_ID, measure="longest", least=days)


STARTER = (
    Badge(
        id="welcome",
        name="Welcome",
        description="Finished the first steps.",
        criterion=Criterion(kind=EVENTS, on=("onboarding.finished",)),
    ),
    Badge(id="week", name="One week", description="Seven check-ins in a row.", criterion=_streak(7)),
    Badge(id="hundred-days", name="A hundred days", description="A hundred in a row.", criterion=_streak(100)),
    Badge(
        id="helper",
        name="Helper",
        description="Ten answers were accepted.",
        kind="auto_revoke",
        criterion=Criterion(kind=EVENTS, on=("answer.accepted",), whose="subject_author", least=10),
    ),
    Badge(
        id="appreciated",
        name="Appreciated",
        description="Ten people reacted to what you wrote.",
        criterion=Criterion(kind=EVENTS, on=("reaction.added",), whose="subject_author", count=PEOPLE, least=10),
    ),
    Badge(
        id="regular",
        name="Regular",
        description="Took part in five events.",
        criterion=Criterion(kind=EVENTS, on=("event.attended",), least=5),
    ),
    Badge(
        id="bridge",
        name="Bridge builder",
        description="Invited three people who stayed.",
        criterion=Criterion(kind=EVENTS, on=("invite.qualified",), least=3),
    ),
)
