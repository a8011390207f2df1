"""Rules of membership: states and their legal moves, charters, scopes, link codes. Pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from kit.contracts import identity_member_id
from kit.days import day_bounds, local_day

DAY_CHANGES_APART = timedelta(days=7)
"""From the day on which another zone or day start of a community began to hold to the next such day (R22)."""

STATES = (
    "observed",
    "applied",
    "waitlisted",
    "approved",
    "rejected",
    "onboarding",
    "active",
    "cooling",
    "dormant",
    "left",
    "removed",
    "banned",
    "erased",
)

# From each state, where one may go (M1). `observed` is where everybody begins whom a bot saw; who comes in by a
# chat platform's own door is active without having applied.
_LEAVING = ("left", "removed", "banned", "erased")
LEGAL: Mapping[str, tuple[str, ...]] = {
    "observed": ("applied", "approved", "onboarding", "active", *_LEAVING),
    "applied": ("waitlisted", "approved", "rejected", "left", "banned", "erased"),
    "waitlisted": ("applied", "approved", "rejected", "left", "banned", "erased"),
    "approved": ("onboarding", "active", *_LEAVING),
    "rejected": ("applied", "banned", "erased"),
    "onboarding": ("active", *_LEAVING),
    "active": ("cooling", "dormant", *_LEAVING),
    "cooling": ("active", "dormant", *_LEAVING),
    "dormant": ("active", *_LEAVING),
    "left": ("observed", "applied", "approved", "onboarding", "active", "removed", "banned", "erased"),
    "removed": ("applied", "approved", "active", "left", "banned", "erased"),
    "banned": ("left", "removed", "active", "erased"),
    "erased": (),
}

SEGMENT_ENTERED, SEGMENT_LEFT = "entered", "left"
KINDS = ("person", "bot")
PRESENT = frozenset({"onboarding", "active", "cooling", "dormant"})
BEFORE_THE_GATE = frozenset({"applied", "waitlisted", "rejected"})
WITHOUT_TOKENS = frozenset({"rejected", "removed", "banned", "erased"})
"""Who is in one of these gets no member token and loses those at hand."""

# What a chat platform says of a membership → the state it means.
MEMBERSHIP_EVENTS: Mapping[str, str] = {
    "member.joined": "active",
    "member.left": "left",
    "member.kicked": "removed",
    "member.banned": "banned",
    "member.unbanned": "left",
}

# How widely a platform's word reaches: joining one channel of many says nothing of having left the community.
SCOPES_OF_COMMUNITY = frozenset({"", "community", "group", "programme"})

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 8
_CODE = re.compile(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}")
_PLATFORM = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Member:
    """`state_at` is when the present state took effect.

    `settled_at` is the newest moment that anybody has spoken of: what happened before it changes the state no more
    (None: nobody has said anything yet). `held`: a person banned this member, and no chat platform lifts that.
    """

    community_id: UUID
    id: UUID
    version: int
    display_name: str
    state: str
    state_at: datetime
    settled_at: datetime | None
    held: bool
    kind: str
    locale: str | None
    zone: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """What a platform said: a member is in `state` from `effective_at` on; `word` is the activity's type."""

    state: str
    effective_at: datetime
    word: str
    cause: UUID


def may_move(current: str, wanted: str) -> bool:
    return wanted in LEGAL[current]


def by_person(member: Member, to: str, now: datetime) -> Member:
    """The member after a person moved it, which must be legal; later words of platforms older than now are void."""
    return replace(member, state=to, state_at=now, settled_at=now, held=to == "banned")


def hear(member: Member, news: Membership) -> Member:
    """The member after a platform's word.

    An older word than the newest one heard changes nothing, so the order of arrival does not matter. Being seen to
    join does not let an applicant through the gate, and does not wake who is inside already; a ban by a person and
    erasure stand.
    """
    if member.settled_at is not None and news.effective_at < member.settled_at:
        return member
    member = replace(member, settled_at=news.effective_at)
    if member.held or not may_move(member.state, news.state):
        return member
    if news.word in ("member.joined", "member.unbanned") and member.state in BEFORE_THE_GATE:
        return member
    if news.state == "active" and member.state in PRESENT:
        return member
    return replace(member, state=news.state, state_at=news.effective_at)


def fold(member: Member, news: Sequence[Membership]) -> tuple[Member, list[tuple[str, Membership]]]:
    """The member after all of the news in the order of their time, and the moves: (from state, what caused it)."""
    moves = []
    for item in sorted(news, key=lambda n: n.effective_at):
        before, member = member, hear(member, item)
        if member.state != before.state:
            moves.append((before.state, item))
    return member, moves


def day_changes_from(since: datetime, zone: str, day_start: int) -> datetime:
    """The first instant (UTC) at which others may be asked for than this zone and day start, which began to hold at
    `since`. What is asked for holds from the next day on, so the two days are `DAY_CHANGES_APART`."""
    day = local_day(since, zone, day_start) + DAY_CHANGES_APART - timedelta(days=1)
    return day_bounds(day, zone, day_start)[0]


def day_start_minutes(text: str) -> int:
    """`04:00` as minutes after midnight; ValueError otherwise."""
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", text)
    if match is None:
        raise ValueError("day_start reads HH:MM, from 00:00 to 23:59")
    return int(match[1]) * 60 + int(match[2])


def day_start_text(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def identity_of(platform: str, external_id: str) -> str:
    """`platform:external_id`; ValueError says what is wrong with the parts."""
    if not _PLATFORM.fullmatch(platform) or platform == "member":
        raise ValueError("platform is lower-case letters, digits, - and _, and not `member`")
    if not external_id or len(external_id) > 250 or not printable(external_id):
        raise ValueError("external_id has 1 to 250 printable characters")
    return f"{platform}:{external_id}"


def printable(text: str, *, lines: bool = False) -> bool:
    """No control characters (PostgreSQL takes no NUL) and no halves of characters; `lines` allows line ends."""
    if text.isprintable():
        # Said of fewer characters than these; most texts consist of them, and it asks them all at once.
        return True
    allowed = "\n\r\t" if lines else ""
    return all(c in allowed or unicodedata.category(c) not in ("Cc", "Cs") for c in text)


def own_member_id(community_id: UUID, identity: str) -> UUID:
    """The member that an identity is while nobody linked it to another."""
    return identity_member_id(community_id, identity)


def clean_code(text: str) -> str | None:
    """A link code as stored, however it was typed; None for what cannot be one."""
    code = text.strip().upper().replace("-", "").replace(" ", "")
    return code if _CODE.fullmatch(code) else None


def name_of(identity: str) -> str:
    """What to call somebody of whom only an identity is known."""
    return identity.partition(":")[2][:100] or identity[:100]


def about_community(word: str, scope: object) -> bool:
    """Coming in always counts; leaving one channel of many is not leaving the community."""
    return word == "member.joined" or not isinstance(scope, str) or scope in SCOPES_OF_COMMUNITY


def unknown_scopes(scopes: Sequence[str], known: frozenset[str]) -> list[str]:
    return sorted(set(scopes) - known)
