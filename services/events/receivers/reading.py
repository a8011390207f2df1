"""Reading what strangers send: every step says what it found, nothing is taken for granted."""

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.events.receivers.form import Delivery, Malformed, OneSecret, Refused, Seen

MAX_NAME = 200
_KIND = re.compile(r"[^a-z0-9_]+")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that the body is; Malformed for anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("", "the body is no JSON") from error
    if not isinstance(value, dict):
        raise Malformed("", "the body is no JSON object")
    return value


def answered_object(body: bytes) -> dict[str, Any]:
    """The same of an answer to us, which may be anything: an empty one for what is no JSON object."""
    try:
        return json_object(body)
    except Malformed:
        return {}


def inner(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under this name; an empty one when there is none, or something else."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def items(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the list under this name; what is no object is passed over."""
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def word(value: Mapping[str, Any], name: str) -> str:
    """Text or a whole number as text; "" for anything else, and for what is too long to be a name."""
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return ""
    text = str(found)
    return text if len(text) <= MAX_NAME and text.isprintable() else ""


def words(value: Mapping[str, Any], name: str) -> str:
    """What somebody wrote; "" for anything but text."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def emoji(value: Mapping[str, Any], name: str) -> str:
    """An emoji, or its name. `word` takes none that is several joined together: what joins them is not printable."""
    found = value.get(name)
    if not isinstance(found, str) or len(found) > MAX_NAME:
        return ""
    return "" if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in found) else found


def whole(value: Mapping[str, Any], name: str) -> int | None:
    """A whole number, also where it is written as text; None for anything else."""
    found = value.get(name)
    if isinstance(found, str) and re.fullmatch(r"-?[0-9]{1,19}", found):
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def seconds(value: Mapping[str, Any], name: str) -> datetime | None:
    """An instant given in seconds since 1970."""
    return instant(whole(value, name))


def milliseconds(value: Mapping[str, Any], name: str) -> datetime | None:
    """An instant given in milliseconds since 1970."""
    found = whole(value, name)
    # A number of 400 digits is one too, and cannot be divided into a float.
    return None if found is None or abs(found) >= 10**18 else instant(found / 1000)


def instant(since_1970: float | None) -> datetime | None:
    if since_1970 is None:
        return None
    try:
        return datetime.fromtimestamp(since_1970, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def iso(value: Mapping[str, Any], name: str) -> datetime | None:
    """An instant given as RFC 3339 text with a zone."""
    found = value.get(name)
    if not isinstance(found, str):
        return None
    try:
        at = datetime.fromisoformat(found)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        # The first day of the year 1 has no place in UTC.
        return None


def identity(platform: str, external: str) -> str | None:
    """`platform:external`, or None when there is no name."""
    return f"{platform}:{external}" if external else None


def together(*parts: str) -> str:
    """The parts with `:` between them; "" when one is missing, because what is left of it would name several."""
    return ":".join(parts) if all(parts) else ""


def derived(*parts: object) -> str:
    """An id for what its platform gives none: the same for the same parts, wherever and whenever it is made."""
    text = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def unknown(platform: str, kind: str, id: str, at: datetime | None = None, **more: Any) -> Seen:
    """Something of a kind this receiver does not know: kept without what it says, and listed among the types seen."""
    name = _KIND.sub("_", kind.lower())[:100].strip("_") or "unknown"
    return Seen(type=f"{platform}.{name}", id=id, at=at, **more)


def whole_body(delivery: Delivery) -> str:
    """An id made of all that was sent, for a delivery that has none."""
    return hashlib.sha256(delivery.body).hexdigest()[:40]


def a_secret() -> str:
    return secrets.token_urlsafe(32)


def one_secret(given: Mapping[str, str]) -> OneSecret:
    """As given, or made here."""
    return OneSecret(given.get("secret") or a_secret())


def signed(body: bytes, given: str, keys: Iterable[bytes], algorithm: str = "sha256") -> bool:
    """Whether the hexadecimal HMAC is the body's under one of the keys. Takes the same time whatever is wrong."""
    found = False
    for key in keys:
        found |= hmac.compare_digest(hmac.new(key, body, algorithm).hexdigest().encode(), given.lower().encode())
    return found


def same(given: str, wanted: Sequence[str]) -> bool:
    """Whether it is one of these, in constant time."""
    found = False
    for one in wanted:
        found |= hmac.compare_digest(one.encode(), given.encode())
    return found


def recent(delivery: Delivery, stamp: str, tolerated: timedelta) -> None:
    """Refused unless the seconds since 1970 in `stamp` are about now."""
    at = instant(int(stamp)) if re.fullmatch(r"[0-9]{1,12}", stamp) else None
    if at is None:
        raise Refused("timestamp_missing", "the signature's timestamp is missing or is no number of seconds")
    if abs(delivery.at - at) > tolerated:
        raise Refused(
            "timestamp_old", f"signed more than {tolerated.seconds} s away from our clock: is one of both wrong?"
        )
