"""Whom an activity is about besides who did it and who wrote what it is about."""

from uuid import UUID

from kit.contracts import identity_member_id
from kit.contracts.events import Activity
from services.rewards.domain.groups import is_group


def inviter_id(a: Activity) -> UUID | None:
    """Who invited the actor, as `data.invited_by` says, without knowing links; None where it says nothing, or nothing
    that is an identity of somebody's. Platforms say it of joins and invitations, not all of them, and not of those by
    a link."""
    said = a.data.get("invited_by")
    if not isinstance(said, str):
        return None
    try:
        computed = identity_member_id(a.community_id, said)
    except ValueError:
        return None
    return None if is_group(computed) else computed
