"""What certificates say: to the member and to operators, and to whoever has a code."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from kit import copies
from kit.copies import KnownCommunity
from kit.database import Tx
from kit.days import local_day
from kit.errors import NotFound, Unavailable
from services.rewards.domain.badges import PROGRAMME
from services.rewards.domain.certificates import Certificate, plain
from services.rewards.domain.paper import Locale
from services.rewards.handlers import badges
from services.rewards.handlers.granting import Held
from services.rewards.store import badges as store

GONE = "erased"


@dataclass(frozen=True, slots=True)
class Verified:
    """No more than what stands on the certificate, and whether it still holds. `member` None: who it was for has been
    erased. `ended_on` is a day of the community, `ended_why` as of a grant's end."""

    community: str
    member: str | None
    badge: str
    granted_on: date
    expires_on: date | None
    ended_on: date | None
    ended_why: str | None


class Whom(NamedTuple):
    """Whose sheet it is, and in which language."""

    place: KnownCommunity
    name: str
    locale: Locale


async def whom(tx: Tx, community_id: UUID, member_id: UUID, locale: Locale | None) -> Whom | None:
    """The language is the one asked for, else the member's, else the community's. None: they had their data erased."""
    place = await _place(tx, community_id)
    member = (await copies.known_members(tx, community_id, [member_id])).get(member_id)
    if member is None:
        raise NotFound("this member's name is not known here yet", code="member_unknown")
    spoken = locale or ("zh-CN" if (member.locale or place.locale).startswith("zh") else "en")
    return Whom(place, member.display_name, spoken) if member.state != GONE else None


async def of_member(
    tx: Tx, community_id: UUID, badge_id: str, member_id: UUID, *, locale: Locale | None, base: str
) -> Certificate:
    """The certificate of a badge that the member holds; NotFound where they do not, or had their data erased. `base` is
    where this installation is reached."""
    one = await badges.existing(tx, community_id, badge_id)
    key = community_id, badge_id, member_id
    row = (await store.standings_of(tx, [key])).get(key)
    standing = Held.read(row).at(tx.now) if row is not None else None
    if standing is None or not standing.held:
        raise NotFound("the member does not hold this badge", code="certificate_unknown")
    (grant,) = await store.grants_of(tx, [(*key, standing.number)])
    whose = await whom(tx, community_id, member_id, locale)
    if whose is None:
        raise NotFound("the member had their data erased", code="certificate_unknown")
    return Certificate(
        community=whose.place.name,
        member=whose.name,
        badge=await _name(tx, grant),
        passed=one.badge.criterion.kind == PROGRAMME,
        day=_day(grant.granted_at, whose.place),
        code=grant.code,
        link=f"{base}/v1/badges/certificates/{grant.code}",
        locale=whose.locale,
    )


async def verify(tx: Tx, code: str) -> Verified:
    """What the certificate with this code says, and whether it holds; NotFound for a code of nothing."""
    grant = await store.grant_with(tx, plain(code))
    if grant is None:
        raise NotFound("there is no certificate with this code", code="certificate_unknown")
    place = await _place(tx, grant.community_id)
    known = (await copies.known_members(tx, grant.community_id, [grant.member_id])).get(grant.member_id)
    ended_at, why = grant.ended_at, grant.ended_why
    if ended_at is None and grant.expires_at is not None and grant.expires_at <= tx.now:
        ended_at, why = grant.expires_at, "expired"
    return Verified(
        community=place.name,
        member=known.display_name if known is not None and known.state != GONE else None,
        badge=await _name(tx, grant),
        granted_on=_day(grant.granted_at, place),
        expires_on=_day(grant.expires_at, place) if grant.expires_at is not None else None,
        ended_on=_day(ended_at, place) if ended_at is not None else None,
        ended_why=why,
    )


async def _place(tx: Tx, community_id: UUID) -> KnownCommunity:
    place = await copies.known_community(tx, community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    return place


async def _name(tx: Tx, grant: Any) -> str:
    """As the badge was called when it was granted."""
    (row,) = await store.bodies(tx, [(grant.community_id, grant.badge_id, grant.version)])
    return str(row.body["name"])


def _day(at: datetime, place: KnownCommunity) -> date:
    return local_day(at, place.zone, place.day_start)
