"""Rules of ingestion: what an activity must look like, when it counts, what of it is kept. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

FUTURE_TOLERATED = timedelta(minutes=5)
FUTURE_REFUSED = timedelta(hours=24)
LATE_AFTER = timedelta(hours=48)
_NO_TIME = timedelta()
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

MAX_ID = 512
MAX_SOURCE = 1024
MAX_TYPE = 200
MAX_SUBJECT = 1024
MAX_IDENTITY = 300

# Attributes the server sets; a client that sends one is told so (wire-formats, first section).
RESERVED = (
    "receivedtime", "effectivetime", "communityid", "connection", "platformseq", "importname", "replayid", "requestid",
    "sealedtext", "late", "clamped", "stale", "throttled",
)  # fmt: skip

_IDENTITY = re.compile(r"^[a-z][a-z0-9_-]{0,31}:[^\x00-\x1f\x7f]+$")
# Version 8 are the accounts of groups, which do nothing themselves.
_MEMBER = re.compile(r"^member:[0-9a-f]{8}-[0-9a-f]{4}-[0-79a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")
_TYPE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$")
_URI_REFERENCE = re.compile(r"^[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+$")
_IMPORT = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why an item is refused; `pointer` is a JSON pointer into the item. Never contains its text."""

    code: str
    pointer: str
    message: str


class Times(NamedTuple):
    """`effective` is what days and windows use."""

    occurred: datetime
    effective: datetime
    clamped: bool
    late: bool


def import_name(text: str) -> str:
    """The name in `Guildhall-Import`; ValueError says its form."""
    if not _IMPORT.match(text):
        raise ValueError("Guildhall-Import is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit")
    return text


def times_of(occurred: datetime | None, received: datetime, *, imported: bool) -> Times | Wrong:
    """The three times of an activity (E13, K41). History is taken at its own time, but not from the future."""
    when = occurred or received
    if not imported and _NO_TIME <= received - when <= LATE_AFTER:
        # Nearly every event; asked first, because each comparison costs at the door.
        return Times(when, when, clamped=False, late=False)
    if when > received + FUTURE_REFUSED:
        return Wrong("time_in_future", "/time", "more than 24 hours ahead of our clock; check the sender's")
    if when < EARLIEST:
        return Wrong("time_too_old", "/time", "before 1970; send when it happened")
    if when > received + FUTURE_TOLERATED:
        return Times(when, received, clamped=True, late=False)
    if imported:
        return Times(when, when, clamped=False, late=False)
    return Times(when, min(when, received), clamped=False, late=received - when > LATE_AFTER)


# A bot posts under few names again and again. What is kept is short: the lengths are looked at before.
@lru_cache(maxsize=1024)
def _is_uri_reference(source: str) -> bool:
    return _URI_REFERENCE.match(source) is not None


@lru_cache(maxsize=1024)
def _is_type(name: str) -> bool:
    return _TYPE.match(name) is not None


@lru_cache(maxsize=16384)
def _is_identity(value: str) -> bool:
    return _IDENTITY.match(value) is not None


def wrong_attributes(id: str, source: str, type: str, subject: str | None, specversion: str) -> Wrong | None:
    """The first thing wrong with the CloudEvents attributes, or None."""
    if specversion != "1.0":
        return Wrong("specversion_unsupported", "/specversion", "must be 1.0")
    if not 0 < len(id) <= MAX_ID:
        return Wrong("id_invalid", "/id", f"must be 1 to {MAX_ID} characters")
    if not 0 < len(source) <= MAX_SOURCE or not _is_uri_reference(source):
        return Wrong(
            "source_invalid", "/source", f"must be a URI reference, such as /bots/one, of 1 to {MAX_SOURCE} characters"
        )
    if len(type) > MAX_TYPE or not _is_type(type):
        return Wrong("type_invalid", "/type", f"must be 1 to {MAX_TYPE} letters, digits and . _ / : -")
    if type.startswith("guildhall."):
        return Wrong("type_reserved", "/type", "types under guildhall. are ours; choose another name")
    if subject is not None and not 0 < len(subject) <= MAX_SUBJECT:
        return Wrong("subject_invalid", "/subject", f"must be 1 to {MAX_SUBJECT} characters, or absent")
    return None


def wrong_identity(value: str | None, pointer: str, *, member: bool = True) -> Wrong | None:
    """Whether an actor, author or group reads `platform:external_id` (or, for people, `member:{uuid}`)."""
    if value is None:
        return None
    if len(value) > MAX_IDENTITY or not _is_identity(value):
        message = f"must read platform:external_id, such as qq:2627274551, in at most {MAX_IDENTITY} characters"
        return Wrong("identity_malformed", pointer, message)
    if value.startswith("member:") and not member:
        return Wrong("identity_malformed", pointer, "a group is no member; it reads platform:external_id")
    if value.startswith("member:") and not _MEMBER.match(value):
        return Wrong("identity_malformed", pointer, "member: is followed by the member's id, in lower case")
    return None


BEATS_MISSED = 3


def missed(beat_at: datetime | None, seconds: int | None, now: datetime) -> bool:
    """Whether three heartbeats in a row did not come (E14); never for who does not beat. 0 seconds: it said that it
    goes offline."""
    if beat_at is None or seconds is None:
        return False
    return now - beat_at > timedelta(seconds=BEATS_MISSED * seconds)
