"""The rules a community gets at its creation (R73). docs/starter-rules.md says why each amount is what it is."""

from kit.contracts.members import STAFF
from services.rewards.domain.rules import (
    ACTOR_OBJECT,
    MEMBER,
    OBJECT,
    Cap,
    Give,
    Receiver,
    Rule,
    RuleSet,
    Scope,
    Window,
)

POINTS_AND_XP = ("points", "xp")
CONTRIBUTION = "contribution"
"""As much again, by the rules that pay what is of use to others: what the ranking of the month goes by."""


def _rule(
    id: str,
    name: str,
    on: str,
    to: Receiver,
    amount: int,
    *caps: Cap,
    notify: bool,
    when: str | None = None,
    contributes: bool = False,
) -> Rule:
    units = (*POINTS_AND_XP, CONTRIBUTION) if contributes else POINTS_AND_XP
    give = tuple(Give(to=to, unit=unit, amount=amount) for unit in units)
    return Rule(id=id, name=name, on=(on,), give=give, caps=caps, notify=notify, when=when)


def _amount(limit: int, per: Window) -> Cap:
    return Cap(scope=MEMBER, per=per, limit=limit)


def _once(scope: Scope, per: Window, *, refill: bool = False) -> Cap:
    return Cap(scope=scope, per=per, limit=1, of="grants", refill=refill)


STARTER = RuleSet(
    rules=(
        _rule("check-in", "Check-in", "checkin.submitted", "actor", 10, _once(MEMBER, "day", refill=True), notify=True),
        _rule("message", "Message", "message.created", "actor", 1, _amount(10, "day"), notify=False),
        _rule(
            "reaction-received",
            "Reaction received",
            "reaction.added",
            "subject_author",
            2,
            _amount(20, "day"),
            _once(ACTOR_OBJECT, "lifetime", refill=True),
            notify=False,
            when='!has(event.data.kind) || event.data.kind != "downvote"',
        ),
        _rule("question", "Question", "question.asked", "actor", 5, _amount(15, "day"), notify=False),
        _rule("answer", "Answer", "answer.posted", "actor", 8, _amount(40, "day"), notify=False, contributes=True),
        _rule(
            "accepted-answer",
            "Accepted answer",
            "answer.accepted",
            "subject_author",
            30,
            _once(OBJECT, "lifetime"),
            notify=True,
            contributes=True,
        ),
        _rule(
            "invite-qualified",
            "Invitation",
            "invite.qualified",
            "actor",
            20,
            _amount(200, "month"),
            notify=True,
            contributes=True,
        ),
        _rule(
            "event-attended",
            "Event attended",
            "event.attended",
            "actor",
            15,
            _amount(30, "day"),
            notify=True,
            contributes=True,
        ),
        _rule(
            "content-accepted",
            "Library content",
            "content.accepted",
            "subject_author",
            25,
            _once(OBJECT, "lifetime"),
            notify=True,
            contributes=True,
        ),
        _rule(
            "onboarding-finished",
            "First steps",
            "onboarding.finished",
            "actor",
            20,
            _once(MEMBER, "lifetime"),
            notify=True,
        ),
    ),
    excluded_segments=(STAFF,),
)
