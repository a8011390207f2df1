"""What undoes what (R9): inverse events, how they name what they are about, and which grants they take back.

An inverse event names what it is about as the event that it undoes did: by `subject` (an event that had none, by its
`id`) within the `group`, or where there is no group within the `source`, in whose context a subject stands. A reaction
is somebody's of one kind, a check-in somebody's. Who leaves a place undoes what was paid for their coming there.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from kit.contracts import identity_member_id
from kit.contracts.events import Activity
from kit.ids import uuid5
from services.rewards.domain.rules import Rule, RuleSet

RECALLED, DELETED = "message.recalled", "message.deleted"
REACTION_REMOVED, CHECKIN_VOIDED, ORDER_REFUNDED = "reaction.removed", "checkin.voided", "order.refunded"
JOINED, LEFT, KICKED, BANNED = "member.joined", "member.left", "member.kicked", "member.banned"

CONTENT: Final = (RECALLED, DELETED)
"""What takes away something written. It is gone for good and cannot come again under its name, so that clocks which
disagree do not matter; everything else may be done again after it was undone, and then times decide."""

LEAVING: Final = (LEFT, KICKED, BANNED)
"""How somebody leaves a place, by their own will or not."""

UNDONE_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "message.created": CONTENT,
    "message.edited": CONTENT,
    "file.uploaded": CONTENT,
    "question.asked": CONTENT,
    "answer.posted": CONTENT,
    "answer.accepted": CONTENT,
    "reaction.added": (*CONTENT, REACTION_REMOVED),
    "checkin.submitted": (CHECKIN_VOIDED,),
    "order.paid": (ORDER_REFUNDED,),
    JOINED: LEAVING,
}
"""Event type → the inverse events that undo what it paid, where the rule does not say (`undone_by`)."""

_CHECKIN_UNDONE_BY: Final[Mapping[str, tuple[str, ...]]] = {
    **{type: names for type, names in UNDONE_BY.items() if type != JOINED},
    "reaction.added": (REACTION_REMOVED,),
}
"""The same for what makes an event a check-in, or counts towards a badge. Of a reaction only taking it away: who
removes the message that people react to does not undo what they did. Who leaves has been there."""

_ALWAYS = frozenset(name for names in UNDONE_BY.values() for name in names)


class Inverse(NamedTuple):
    """An inverse event. `order` is its place among the events handled together; EARLIER when it was handled before."""

    thing: UUID
    event_id: UUID
    type: str
    at: datetime
    order: int


EARLIER = -1


class Way(NamedTuple):
    """How what an event pays by a rule can be undone: by inverse events about `thing` of these `types`, and within
    `lifetime_seconds` of it by those that take away what was written, or whom it brought."""

    thing: UUID
    types: tuple[str, ...]
    lifetime_seconds: int


def inverse_types(rules: RuleSet) -> frozenset[str]:
    """Event types that undo something: those that always do, and those that a rule of the set names."""
    return _ALWAYS.union(*(rule.undone_by for rule in rules.rules if rule.undone_by))


def inverse_of(a: Activity, order: int) -> Inverse | None:
    """An activity of one of these types as what it undoes; None when it does not say what it is about."""
    person = _who_leaves(a) if a.type in LEAVING else (a.author_id or a.actor_id)
    thing = _thing(a, _family(a.type), a.subject, person)
    return None if thing is None else Inverse(thing, a.event_id, a.type, a.effective_at, order)


def ways(a: Activity, rule: Rule) -> tuple[Way, ...]:
    """Every way in which what `a` pays by the rule can be undone."""
    types = UNDONE_BY.get(a.type, ()) if rule.undone_by is None else rule.undone_by
    out = []
    ending = LEAVING if a.type == JOINED else CONTENT
    for family, own, lifetime in _families(types, ending, rule.min_content_lifetime_seconds):
        thing = _thing(a, family, a.subject if a.subject is not None else a.id, a.actor_id)
        if thing is not None:
            out.append(Way(thing, own, lifetime))
    return tuple(out)


def checkin_undone_by(type: str) -> tuple[str, ...]:
    """The inverse events that undo a check-in made by an event of the type; all of one family."""
    return _CHECKIN_UNDONE_BY.get(type, (CHECKIN_VOIDED,))


def way_of_checkin(a: Activity) -> Way | None:
    """How the check-in that `a` is can be undone; None where nothing can name it."""
    types = checkin_undone_by(a.type)
    thing = _thing(a, _family(types[0]), a.subject if a.subject is not None else a.id, a.actor_id)
    return None if thing is None else Way(thing, types, 0)


def things_confirmed(a: Activity) -> tuple[UUID, ...]:
    """What `a` may speak of that somebody did and others confirm, named as an inverse event would name it: a check-in
    of `author`, or something written."""
    named = (_thing(a, family, a.subject, a.author_id) for family in (CHECKIN_VOIDED, _WRITTEN))
    return tuple([thing for thing in named if thing is not None])


def way_of_mark(a: Activity) -> Way | None:
    """How what `a` counts towards a badge can be taken out again: as a check-in can."""
    types = _CHECKIN_UNDONE_BY.get(a.type)
    if types is None:
        return None
    thing = _thing(a, _family(types[0]), a.subject if a.subject is not None else a.id, a.actor_id)
    return None if thing is None else Way(thing, types, 0)


def mark_undone_by(type: str) -> tuple[str, ...]:
    """The inverse events that take out what an event of the type counted."""
    return _CHECKIN_UNDONE_BY.get(type, ())


@lru_cache(maxsize=1024)
def _families(
    types: tuple[str, ...], ending: tuple[str, ...], lifetime: int
) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    """The families of these types, with those of each and the lifetime that it asks for: that of `ending` alone."""
    lasting = _family(ending[0])
    families = dict.fromkeys(map(_family, (*types, *(ending if lifetime else ()))))
    return tuple([
        (family, tuple([name for name in types if _family(name) == family]), lifetime if family == lasting else 0)
        for family in families
    ])  # fmt: skip


def undoes(inverse: Inverse, way: Way, at: datetime, order: int) -> bool:
    """Whether the inverse event undoes what an event of time `at` and this place in the order paid in this way.

    Between two of the same time the order of arrival decides.
    """
    if inverse.thing != way.thing:
        return False
    if inverse.type not in CONTENT and (inverse.at, inverse.order) < (at, order):
        return False
    return inverse.type in way.types or inverse.at - at < timedelta(seconds=way.lifetime_seconds)


def undone(inverses: Iterable[Inverse], way: Way, at: datetime, order: int) -> Inverse | None:
    """The first of the inverse events that undoes it."""
    return next((inverse for inverse in inverses if undoes(inverse, way, at, order)), None)


def stored_places(ids: Collection[UUID], epoch: UUID | None) -> Any:
    """Places under caps that refill as JSON, with whose counters they are among (`Want.epoch`): a list is among the
    community's own, an object has recomputes' ids (and "" for the community's own). None where there is no place."""
    names = [str(id) for id in ids]
    return (names if epoch is None else {str(epoch): names}) if names else None


def places_among(stored: Any, epoch: UUID | None) -> tuple[UUID, ...]:
    """Those of the places that are among these counters."""
    by = stored if isinstance(stored, Mapping) else {"": stored or ()}
    return tuple([UUID(id) for id in by.get("" if epoch is None else str(epoch), ())])


def joined_places(old: Any, in_force: UUID | None, new: Any, coming: UUID) -> Any:
    """The places among the counters in force and those among the ones to come: until a recompute is over, and for ever
    if it is cancelled, the old ones are given back, and then the others."""
    before = [str(id) for id in places_among(old, in_force)]
    then = [str(id) for id in places_among(new, coming)]
    if not then:
        return stored_places(places_among(old, in_force), in_force)
    return {**({"" if in_force is None else str(in_force): before} if before else {}), str(coming): then}


_WRITTEN, _PRESENCE = "content", "presence"


def _family(type: str) -> str:
    """Inverse events of one family name what they are about in one way."""
    return _WRITTEN if type in CONTENT else _PRESENCE if type in LEAVING else type


def _who_leaves(a: Activity) -> UUID | None:
    """Who is sent away is `data.member` beside the actor who does it; else the actor leaves."""
    said = a.data.get("member")
    if not isinstance(said, str):
        return a.actor_id
    try:
        return identity_member_id(a.community_id, said)
    except ValueError:
        return None


def _thing(a: Activity, family: str, name: str | None, person: UUID | None) -> UUID | None:
    """The id of what can be undone, the same whichever event speaks of it."""
    if family == _PRESENCE:
        # Of somebody's coming and going there is nothing but who and where.
        name = ""
    if name is None:
        return None
    place = ("group", a.group) if a.group is not None else ("source", a.source)
    if family == REACTION_REMOVED:
        whose = None if a.actor_id is None else f"{a.actor_id} {a.data.get('kind')}"
    elif family in (CHECKIN_VOIDED, _PRESENCE):
        whose = None if person is None else str(person)
    else:
        whose = ""
    # As a tuple reads: whatever stands in a name, two things never read alike.
    return None if whose is None else uuid5(a.community_id, repr(("undo", family, place, name, whose)))
