"""What comes late of who was erased. It is handled, for what it says of others; of them nothing is written down: they
are somebody of no name, another one in every batch."""

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from kit.contracts.events import Activity
from kit.copies import KnownMember
from services.rewards.domain.erasing import ERASED, scrubbed
from services.rewards.domain.people import inviter_id

if TYPE_CHECKING:
    from services.rewards.handlers.earning import Scene

Ids = dict[tuple[UUID, UUID], UUID]
Members = dict[tuple[UUID, UUID], KnownMember]


def nameless(ids: Ids, members: Members) -> tuple[Ids, Members]:
    """Whom identities are, and what is known of them, with an id of chance for who was erased."""
    gone = {pair: uuid4() for pair, known in members.items() if known.state == ERASED}
    if not gone:
        return ids, members
    named = {pair: gone.get((pair[0], member), member) for pair, member in ids.items()}
    unnamed = {(pair[0], id): replace(members[pair], id=id, display_name="") for pair, id in gone.items()}
    return named, {**members, **unnamed}


def is_erased(community_id: UUID, computed: UUID | None, scene: "Scene") -> bool:
    if computed is None:
        return False
    known = scene.members.get((community_id, scene.ids[community_id, computed]))
    return known is not None and known.state == ERASED


def unnamed(a: Activity, scene: "Scene") -> Activity:
    """The activity with no more of who was erased than there is in the scene."""
    names: dict[str, str] = {}
    for text, computed in ((a.actor, a.actor_id), (a.author, a.author_id), (a.data.get("invited_by"), inviter_id(a))):
        if computed is not None and is_erased(a.community_id, computed, scene):
            name = f"member:{scene.ids[a.community_id, computed]}"
            names |= {str(computed): name, **({text: name} if text is not None else {})}
    if not names:
        return a

    def said(text: str) -> str:
        return names.get(text, text)

    def id(computed: UUID | None) -> UUID | None:
        known = computed is not None and is_erased(a.community_id, computed, scene)
        return scene.ids[a.community_id, computed] if known and computed is not None else computed

    return replace(
        a,
        subject=None if a.subject is None else said(a.subject),
        actor=None if a.actor is None else said(a.actor),
        actor_id=id(a.actor_id),
        author=None if a.author is None else said(a.author),
        author_id=id(a.author_id),
        data=scrubbed(a.data, said),
    )
