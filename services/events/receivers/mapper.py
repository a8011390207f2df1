"""Systems we do not know: settings say how what they post becomes activities."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from services.events.domain import wrong_attributes
from services.events.receivers.form import Delivery, Malformed, OneSecret, Receiver, Refused, Seen, Setup, Translation
from services.events.receivers.mapping import (
    Context,
    Rule,
    Unusable,
    as_data,
    as_text,
    as_time,
    pointed,
    wrong_condition,
    wrong_pointer,
    wrong_rule,
)
from services.events.receivers.reading import one_secret, same

PLATFORM = "mapper"
MAX_ITEMS = 500
MAX_ITEM = 65_536
MAX_FIELDS = 40

FIELDS = ("type", "id", "time", "actor", "author", "group", "subject", "text")
_DATA = re.compile(r"data\.(?!(?:actor|author|group|text)$)[A-Za-z][A-Za-z0-9_]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
# These say who may post here; a mapping has no business with them.
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie"}


class MapperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`items` points to what an activity is made of: a list, each of its objects, or one object. `when` says which of
    them count. `fields` has a rule for each of `type` (required), `id`, `time`, `actor`, `author`, `group`, `subject`,
    `text`, `data.NAME`.

    `verify`: "bearer", the secret in `Authorization: Bearer`; "hmac-sha256", the body's HMAC in `header`, in
    hexadecimal or base64, after `signature_prefix`.
    """

    fields: dict[str, Rule]
    verify: Literal["bearer", "hmac-sha256"] = "bearer"
    header: str = ""
    signature_prefix: str = ""
    items: str = ""
    when: str | None = None

    def __post_init__(self) -> None:
        wrong = _wrong_verification(self) or wrong_pointer(self.items, "/items")
        if self.when is not None:
            wrong = wrong or wrong_condition(self.when, "/when")
        wrong = wrong or _wrong_fields(self.fields)
        if wrong:
            raise ValueError(wrong)


def _wrong_verification(settings: MapperSettings) -> str | None:
    if settings.verify == "hmac-sha256" and not _HEADER.fullmatch(settings.header):
        return "/header: which header has the signature?"
    return None


def _wrong_fields(fields: Mapping[str, Rule]) -> str | None:
    if "type" not in fields:
        return "/fields/type: is missing; every activity has a type, such as order.paid"
    if len(fields) > MAX_FIELDS:
        return f"/fields: more than {MAX_FIELDS}"
    for name, rule in fields.items():
        if name not in FIELDS and not _DATA.fullmatch(name):
            return f"/fields/{name[:100]}: there are {', '.join(FIELDS)} and data.NAME"
        wrong = wrong_rule(rule, f"/fields/{name}")
        if wrong:
            return wrong
    return _wrong_type(fields["type"])


def _wrong_type(rule: Rule) -> str | None:
    """A constant that no activity may have as its type is found now, not with the first delivery."""
    if rule.value is None:
        return None
    wrong = wrong_attributes("id", "/", f"{rule.prefix}{rule.value}", None, "1.0")
    return f"/fields/type/value: {wrong.message}" if wrong else None


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: MapperSettings) -> Delivery:
    known = [one.secret for one in secrets if one.secret]
    if settings.verify == "bearer":
        scheme, _, given = delivery.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Refused("token_missing", "no Authorization: Bearer and the connection's secret")
        if not same(given.strip(), known):
            raise Refused("token_wrong", "the bearer token is not this connection's secret")
        return delivery
    text = delivery.headers.get(settings.header.lower(), "")
    given_digest = _digest(text.removeprefix(settings.signature_prefix).strip())
    if not text.startswith(settings.signature_prefix) or given_digest is None:
        raise Refused("signature_missing", f"no HMAC-SHA256 in the header {settings.header}")
    found = False
    for one in known:
        found |= hmac.compare_digest(hmac.new(one.encode(), delivery.body, hashlib.sha256).digest(), given_digest)
    if not found:
        raise Refused("signature_wrong", "the signature is not of this body and this connection's secret")
    return delivery


def _digest(given: str) -> bytes | None:
    if re.fullmatch(r"[0-9A-Fa-f]{64}", given):
        return bytes.fromhex(given)
    try:
        digest = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == hashlib.sha256().digest_size else None


def translate(delivery: Delivery, settings: MapperSettings) -> Translation:
    secret = _SECRET_HEADERS | {settings.header.lower()}
    headers = {name: value for name, value in delivery.headers.items() if name not in secret}
    found = _items(delivery.body, settings.items)
    seen = []
    for at, item in found:
        encoded = msgspec.json.encode(item, order="sorted")
        if len(encoded) > MAX_ITEM:
            raise Malformed(at, f"is over {MAX_ITEM} bytes")
        context = Context(item, headers)
        if settings.when is None or _meant(context, settings.when):
            # The same item posted again counts once, however its JSON is laid out.
            digest = hashlib.sha256(encoded).hexdigest()[:40]
            seen.append(_seen(context, settings.fields, at, digest))
    return Translation(tuple(seen), "" if seen else "condition_not_met" if found else "nothing_in_it")


def _meant(context: Context, condition: str) -> bool:
    """What a condition cannot be asked of, because it looks otherwise, is something else than what is meant."""
    try:
        return context.holds(condition)
    except Unusable:
        return False


def _items(body: bytes, pointer: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects activities are made of, each with where it is."""
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("", "the body is no JSON") from error
    found = pointed(whole, pointer)
    given = [(f"{pointer}/{n}", one) for n, one in enumerate(found)] if isinstance(found, list) else [(pointer, found)]
    if len(given) > MAX_ITEMS:
        raise Malformed(pointer, f"more than {MAX_ITEMS} items")
    for at, one in given:
        if not isinstance(one, dict):
            raise Malformed(at, "is no JSON object")
    return given


def _seen(context: Context, fields: Mapping[str, Rule], at: str, digest: str) -> Seen:
    texts: dict[str, Any] = {}
    data: dict[str, Any] = {}
    time = None
    for name, rule in fields.items():
        try:
            found = context.found(rule)
            if name == "time":
                time = as_time(found)
            elif name in FIELDS:
                texts[name] = as_text(found, rule.prefix)
            elif (value := as_data(found, rule.prefix)) is not None:
                data[name.removeprefix("data.")] = value
        except Unusable as error:
            raise Malformed(at, f"the rule for {name} {error}") from error
    type, id = texts.pop("type"), texts.pop("id", None)
    if not type:
        raise Malformed(at, "the rule for type finds nothing")
    return Seen(type=type, id=id or digest, at=time, data=data, **texts)


def setup(url: str, secret: OneSecret, settings: MapperSettings) -> Setup:
    if settings.verify == "bearer":
        proof = f"Authorization: Bearer {secret.secret}"
    else:
        proof = f"{settings.header}: {settings.signature_prefix}HMAC-SHA256(secret, body)\nSecret: {secret.secret}"
    return Setup(
        (
            "Have the other system post JSON to the URL below, with the header below.",
            "Let it post again what was not answered with a status from 200 to 299.",
        ),
        f"URL: {url}\nContent-Type: application/json\n{proof}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="Another system, by a mapping",
    secrets=OneSecret,
    settings=MapperSettings,
    make_secrets=one_secret,
    verify=verify,
    translate=translate,
    setup=setup,
)
