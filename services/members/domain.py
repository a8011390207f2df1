"""Rules of membership: states and their legal moves, charters, scopes, link codes. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.contracts import identity_member_id

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
    "removed": ("applied", "approved", "active", "banned", "erased"),
    "banned": ("left", "active", "erased"),
    "erased": (),
}

KINDS = ("person", "bot")
PRESENT = frozenset({"onboarding", "active", "cooling", "dormant"})

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
_CODE = re.compile(f"^[{CODE_ALPHABET}]{{{CODE_LENGTH}}}$")
_PLATFORM = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")


@dataclass(frozen=True, slots=True)
class Member:
    """`state_at` is when the present state took effect: an older event never moves a newer state back."""

    community_id: UUID
    id: UUID
    version: int
    display_name: str
    state: str
    state_at: datetime
    kind: str
    locale: str | None
    zone: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """What a platform said: `identity`'s member is in `state` from `effective_at` on."""

    community_id: UUID
    member_id: UUID
    state: str
    effective_at: datetime
    reason: str


def may_move(current: str, wanted: str) -> bool:
    return wanted in LEGAL[current]


def follows(member_state: str, state_at: datetime, news: Membership) -> bool:
    """Whether a platform's word changes the state: newer than what we have, another state, and a legal move.

    Being seen to join does not approve an applicant: a person who stands before a gate goes through it.
    """
    if news.effective_at < state_at or news.state == member_state:
        return False
    if news.state == "active" and (member_state in PRESENT or member_state in ("applied", "waitlisted", "rejected")):
        return False
    return may_move(member_state, news.state)


def fold(state: str, state_at: datetime, news: Sequence[Membership]) -> list[tuple[str, Membership]]:
    """The moves (from state, what caused it) that this member's news cause, in the order of their time."""
    moves = []
    for item in sorted(news, key=lambda n: n.effective_at):
        if follows(state, state_at, item):
            moves.append((state, item))
            state, state_at = item.state, item.effective_at
    return moves


def day_start_minutes(text: str) -> int:
    """`04:00` as minutes after midnight; ValueError otherwise."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        raise ValueError("day_start reads HH:MM, from 00:00 to 23:59")
    return int(match[1]) * 60 + int(match[2])


def day_start_text(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def identity_of(platform: str, external_id: str) -> str:
    """`platform:external_id`; ValueError says what is wrong with the parts."""
    if not _PLATFORM.match(platform) or platform == "member":
        raise ValueError("platform is lower-case letters, digits, - and _, and not `member`")
    if not external_id or len(external_id) > 250 or any(ord(c) < 32 for c in external_id):
        raise ValueError("external_id has 1 to 250 printable characters")
    return f"{platform}:{external_id}"


def own_member_id(community_id: UUID, identity: str) -> UUID:
    """The member that an identity is while nobody linked it to another."""
    return identity_member_id(community_id, identity)


def clean_code(text: str) -> str | None:
    """A link code as stored, however it was typed; None for what cannot be one."""
    code = text.strip().upper().replace("-", "").replace(" ", "")
    return code if _CODE.match(code) else None


def unknown_scopes(scopes: Sequence[str], known: frozenset[str]) -> list[str]:
    return sorted(set(scopes) - known)
