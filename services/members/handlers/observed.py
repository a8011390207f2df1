"""What the log tells of people: identities seen for the first time, and platforms' word on who came and went.

Every batch takes a fixed number of statements, whatever its size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from kit import copies
from kit.contracts import Envelope, identity_member_id
from kit.contracts.events import Activity, IdentityObserved
from kit.database import Tx
from kit.errors import BadMessage
from services.members import domain
from services.members.domain import Member, Membership
from services.members.handlers.erasing import of_erased
from services.members.handlers.people import announce, identity_row, new_member, transition
from services.members.handlers.revocations import void_tokens
from services.members.store import people

SEEN_RULE = "identity-observed"
MEMBERSHIP_RULE = "platform-membership"
MAX_IDENTITY = 300

Key = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Sighting:
    """An identity did something at `at`; `member_id` is the one it computes to."""

    community_id: UUID
    identity: str
    member_id: UUID
    at: datetime
    is_bot: bool

    @property
    def direct(self) -> bool:
        """It reads `member:{uuid}` and is no identity of a platform."""
        return self.identity.startswith("member:")


async def observe(tx: Tx, batch: list[Envelope[IdentityObserved]]) -> None:
    """Identities seen for the first time become members in state `observed`; who is known stays as they are."""
    events = [e.event for e in batch]
    for e in events:
        if len(e.identity) > MAX_IDENTITY or not domain.printable(e.identity):
            raise BadMessage("identity_malformed", f"an identity has at most {MAX_IDENTITY} printable characters")
    sightings = [Sighting(e.community_id, e.identity, e.member_id, e.first_seen_at, e.is_bot) for e in events]
    _, changed = await _owners(tx, sightings)
    await announce(tx, changed)


async def follow_membership(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """What platforms say of joining and leaving moves members, by the time it happened, not the time it arrived."""
    told = [(a, s) for e in batch if (s := _sighting(a := e.event)) is not None]
    if not told:
        return
    owners, changed = await _owners(tx, [s for _, s in told])
    news: dict[Key, list[Membership]] = {}
    for a, s in told:
        word = Membership(domain.MEMBERSHIP_EVENTS[a.type], a.effective_at, a.type, a.event_id)
        news.setdefault((a.community_id, owners[a.community_id, s.identity]), []).append(word)
    await _move_all(tx, news, changed)


def _sighting(a: Activity) -> Sighting | None:
    """Whose membership an activity tells of; None when it tells of none, or of nobody we could name."""
    if a.type not in domain.MEMBERSHIP_EVENTS or not domain.about_community(a.type, a.data.get("scope")):
        return None
    # Who is put out seldom does it themselves: `data.member` names them where the actor is somebody else.
    named = a.data.get("member")
    who = named if isinstance(named, str) else a.actor
    if not who or len(who) > MAX_IDENTITY or not domain.printable(who):
        return None
    try:
        member_id = identity_member_id(a.community_id, who)
    except ValueError:
        return None
    return Sighting(a.community_id, who, member_id, a.effective_at, who == a.actor and a.data.get("bot") is True)


async def _owners(tx: Tx, sightings: Sequence[Sighting]) -> tuple[dict[tuple[UUID, str], UUID], list[Member]]:
    """Whose each identity is, making members in state `observed` of those that nobody knew.

    Also the members that this made or gave an identity, in their new version, not announced yet. Identities are
    claimed before members are made: one that somebody links at this moment makes no second member. Those of who was
    erased are claimed by nobody again.
    """
    first: dict[tuple[UUID, str], Sighting] = {}
    for s in sorted(sightings, key=lambda s: s.at):
        first.setdefault((s.community_id, s.identity), s)
    gone = await of_erased(tx, {(s.community_id, s.member_id) for s in first.values()})
    erased = {pair: gone[key] for pair, s in first.items() if (key := (s.community_id, s.member_id)) in gone}
    first = {pair: s for pair, s in first.items() if pair not in erased}
    platform = {pair: s for pair, s in first.items() if not s.direct}
    rows = [
        identity_row(s.community_id, s.identity, s.member_id, linked=False, at=tx.now, seen_at=s.at)
        for s in platform.values()
    ]
    fresh = await people.add_identities(tx, rows=rows)
    kept = await people.identities_among(tx, pairs=platform)
    await _mark_seen(tx, [row for row in kept.values() if row.first_seen_at is None], platform)
    owners = {pair: row.member_id for pair, row in kept.items()}
    linked = await copies.resolve_members(tx, [(s.community_id, s.member_id) for s in first.values() if s.direct])
    owners.update({pair: linked[s.community_id, s.member_id] for pair, s in first.items() if s.direct})
    candidates = [
        new_member(
            tx,
            s.community_id,
            s.member_id,
            name=domain.name_of(s.identity),
            state="observed",
            kind="bot" if s.is_bot else "person",
            state_at=s.at,
        )
        for pair, s in first.items()
        if owners[pair] == s.member_id
    ]
    made = await people.add_members(tx, members=candidates)
    created = _distinct(m for m in candidates if (m.community_id, m.id) in made)
    history = [transition(tx, m, None, actor="platform", reason="seen in a chat", rule=SEEN_RULE) for m in created]
    await people.add_transitions(tx, rows=history)
    grown = {(c, owners[c, identity]) for c, identity in fresh} - made
    return owners | erased, created + await _next_versions(tx, grown)


async def _mark_seen(tx: Tx, unseen: Iterable[Any], first: dict[tuple[UUID, str], Sighting]) -> None:
    """Identities that were linked before anybody saw them are seen now."""
    rows = [{**row._mapping, "first_seen_at": first[row.community_id, row.identity].at} for row in unseen]
    await people.mark_seen(tx, rows=rows)


async def _next_versions(tx: Tx, keys: set[Key]) -> list[Member]:
    members = await people.members_among(tx, pairs=sorted(keys), lock=True)
    changed = [replace(m, version=m.version + 1, changed_at=tx.now) for m in members.values()]
    await people.save_members(tx, members=changed)
    return changed


async def _move_all(tx: Tx, news: dict[Key, list[Membership]], changed: list[Member]) -> None:
    """Apply the news, and announce whoever moved or is in `changed` once, in the final form."""
    announcing = {(m.community_id, m.id): m for m in changed}
    members = await people.members_among(tx, pairs=sorted(news), lock=True)
    touched: list[Member] = []
    put_out: list[Key] = []
    history: list[dict[str, Any]] = []
    for key, member in members.items():
        now, moves = domain.fold(member, news[key])
        for came_from, word in moves:
            step = replace(now, state=word.state, state_at=word.effective_at)
            cause = f"activity:{word.cause}"
            history.append(transition(tx, step, came_from, actor=cause, reason=word.word, rule=MEMBERSHIP_RULE))
        if moves and key not in announcing:
            now = replace(now, version=now.version + 1, changed_at=tx.now)
        if moves and now.state in domain.WITHOUT_TOKENS:
            put_out.append(key)
        if now != member:
            touched.append(now)
        if moves or key in announcing:
            announcing[key] = now
    await people.save_members(tx, members=touched)
    await people.add_transitions(tx, rows=history)
    await void_tokens(tx, put_out)
    await announce(tx, list(announcing.values()))


def _distinct(members: Iterable[Member]) -> list[Member]:
    return list({(m.community_id, m.id): m for m in members}.values())
