"""What expressions see of an activity."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from kit.contracts.events import Activity
from services.rewards.domain.ledger import MOST
from services.rewards.domain.people import inviter_id
from services.rewards.domain.signals import LEVEL, NOTHING
from services.rewards.domain.streaks import State as Streak
from services.rewards.expressions import NUMBERS, Context, names_in

if TYPE_CHECKING:
    from services.rewards.handlers.earning import Scene

_NO_STREAK = Streak()


class Seen:
    """What expressions see of an activity, made when the first of them asks: most rules have none."""

    def __init__(self, a: Activity, scene: "Scene") -> None:
        self._of = a, scene
        self._made: Context | None = None
        self._values: dict[str, Any] = {}

    @property
    def made(self) -> Context:
        if self._made is None:
            self._values = _variables(*self._of)
            self._made = Context(self._values)
        return self._made

    def numbers(self, source: str) -> dict[str, int]:
        """Those that an expression looks at, by name."""
        assert self._made is not None
        return {name: self._values[name] for name in sorted(names_in(source) & NUMBERS)}


def _variables(a: Activity, scene: "Scene") -> dict[str, Any]:
    people = {"actor": a.actor_id, "author": a.author_id, "inviter": inviter_id(a)}
    streak = scene.streaks.get(a.event_id, _NO_STREAK)
    platform, separator, group_id = (a.group or "").partition(":")
    return {
        "event.type": a.type,
        "event.source": a.source,
        "event.subject": a.subject or "",
        "event.group": a.group or "",
        "event.actor": a.actor or "",
        "event.author": a.author or "",
        "event.time": a.effective_at,
        "event.history": a.import_name is not None,
        "event.data": a.data,
        "group.id": group_id if separator else a.group or "",
        "group.platform": platform if separator else "",
        **{f"{who}.{name}": value for who, id in people.items() for name, value in _person(a, id, scene).items()},
        "streak.current": streak.current,
        "streak.longest": streak.longest,
        "streak.days": streak.days,
        "checkin.status": scene.checkins.get(a.event_id, ""),
        "text.length": _whole(a.data.get("length")),
        "text.distinct": _whole(a.data.get("distinct")),
        **scene.signals.get(a.event_id, NOTHING),
        LEVEL: scene.footing(a.community_id, a.actor_id).level,
    }


def _whole(said: Any) -> int:
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MOST else 0


def _person(a: Activity, computed: UUID | None, scene: "Scene") -> dict[str, str | list[str]]:
    member_id = None if computed is None else scene.ids.get((a.community_id, computed))
    if member_id is None:
        return {"id": "", "kind": "", "state": "", "segments": []}
    known = scene.members.get((a.community_id, member_id))
    return {
        "id": str(member_id),
        "kind": known.kind if known else "person",
        "state": known.state if known else "observed",
        "segments": list(known.segments) if known else [],
    }
