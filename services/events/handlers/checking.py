"""Whether a connection is set up rightly: what is known here, and what its platform says when it is asked; and an
activity that does nothing but arrive.

Credentials are given for one check: they go to the platform and nowhere else, and no finding has them in it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from cryptography.fernet import InvalidToken

from kit.clock import uuid7
from kit.database import Tx
from kit.days import local_day
from kit.errors import Conflict, FieldError, Unprocessable
from kit.outside import Answer, Call, NoAnswer, NotCalled, Outside, Refused, address_of, checked
from kit.service import ServiceRuntime
from services.events import health
from services.events.handlers import connections, limiting, receiving
from services.events.hearing import hearing_of
from services.events.receivers import receivers
from services.events.receivers.asking import LEVELS, WARNING, Check, Conversation, Finding, Question
from services.events.receivers.door import source_of
from services.events.receivers.form import Delivery, Receiver, Seen
from services.events.store import connections as store
from services.events.store import rejected

CALL_SECONDS = 2.0
CALLS_AT_ONCE = 10
MOST_GROUPS = 20
LATELY = timedelta(days=30)
COUNTED = 10_000
REASONS_AMONG = 50
TEST = "connection.test"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask the platform with, of which API where that is not its own, and about which groups (none: those in
    which most came lately)."""

    credentials: Mapping[str, str]
    base_url: str | None
    groups: Sequence[str]


async def check(one: ServiceRuntime, *, community_id: UUID, connection_id: UUID, url: str, wish: Wish) -> list[Finding]:
    """What was found, the worst first; `url` is where the platform is to post. NotFound; Unprocessable for what cannot
    be asked; TooManyRequests when the community's platforms are asked too often."""
    async with one.db.read() as tx:
        row = await connections.found(tx, community_id=community_id, connection_id=connection_id)
        receiver = receivers()[row.platform]
        credentials = _credentials(receiver, wish)
        signs = (await store.signs(tx, connection_ids=[row.id])).get(row.id)
        found = health.findings(await _known(tx, one, row, signs))
        groups = await _groups(tx, row, receiver, wish) if credentials is not None else ()
    if receiver.check is not None and credentials is None:
        found.append(_not_asked(receiver))
    elif receiver.check is not None:
        limiting.take_check(one, community_id)
        base_url = await _base_url(one, receiver.check, wish)
        seen_at = signs.seen_at if signs is not None else None
        asked = await _asked(one, receiver.check, Question(credentials, base_url, url, groups, seen_at, one.clock()))
        found += [_without(finding, wish.credentials.values()) for finding in asked]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level), reverse=True)


def _credentials(receiver: Receiver[Any, Any], wish: Wish) -> Any | None:
    """What to ask with; None when nothing is to be asked. Never says what was given."""
    way = receiver.check
    if way is None and (wish.credentials or wish.groups or wish.base_url is not None):
        message = f"there is nothing that {receiver.title} could be asked; check without a body"
        raise Unprocessable(message, code="check_unsupported")
    if way is None or not wish.credentials:
        return None
    if wish.groups and not way.of_groups:
        raise _wrong("/groups", "groups_invalid", f"{receiver.title} is not asked about groups")
    try:
        return msgspec.convert(dict(wish.credentials), way.credentials)
    except msgspec.ValidationError as error:
        message = f"credentials of {receiver.title}: {error}"
        raise _wrong("/credentials", "credentials_invalid", message) from None


def _wrong(pointer: str, code: str, message: str) -> Unprocessable:
    return Unprocessable(message, code=code, errors=[FieldError(pointer, code, message)])


async def _known(tx: Tx, one: ServiceRuntime, row: Any, signs: Any | None) -> health.Known:
    today = local_day(tx.now, "UTC", 0)
    readable, ending = True, None
    try:
        ends = [until for _, until in connections.opened(one, row) if until is not None and until > tx.now]
        ending = min(ends, default=None)
    except InvalidToken:
        readable = False
    return health.Known(
        active=bool(row.active),
        seen_at=signs.seen_at if signs is not None else None,
        down=signs is not None and signs.down_since is not None,
        today=await store.counts(tx, connection_id=row.id, day=today),
        reasons=await _reasons(tx, one, row),
        ending=ending,
        readable=readable,
    )


async def _reasons(tx: Tx, one: ServiceRuntime, row: Any) -> dict[str, str]:
    """Why the last of today's deliveries went wrong, by outcome, where that is known."""
    today = local_day(tx.now, "UTC", 0)
    kept = await rejected.page(
        tx,
        community_id=row.community_id,
        code=None,
        connection_id=row.id,
        state=None,
        before=None,
        limit=REASONS_AMONG,
    )
    reasons: dict[str, str] = {}
    for each in kept:
        outcome = receiving.MALFORMED if each.code == "payload_malformed" else receiving.UNFIT
        if local_day(each.at, "UTC", 0) == today:
            reasons.setdefault(outcome, f"{each.message} ({each.code})")
    refused = hearing_of(one).refused(row.id, today)
    return {**reasons, receiving.REFUSED: refused} if refused is not None else reasons


async def _groups(tx: Tx, row: Any, receiver: Receiver[Any, Any], wish: Wish) -> tuple[str, ...]:
    """By the platform's own names. Those named in the request, else those the connection brought something of."""
    if receiver.check is None or not receiver.check.of_groups:
        return ()
    prefix = f"{row.platform}:"
    for number, group in enumerate(wish.groups):
        if not group.startswith(prefix) or group == prefix:
            raise _wrong(f"/groups/{number}", "groups_invalid", f"a group of this connection reads {prefix}…")
    groups = wish.groups or await store.busiest_groups(
        tx,
        community_id=row.community_id,
        connection_id=row.id,
        prefix=prefix,
        since=tx.now - LATELY,
        among=COUNTED,
        limit=MOST_GROUPS,
    )
    return tuple(dict.fromkeys(group.removeprefix(prefix) for group in groups))


def _not_asked(receiver: Receiver[Any, Any]) -> Finding:
    assert receiver.check is not None
    names = ", ".join(receiver.check.credentials.__struct_fields__)
    message = f"{receiver.title} itself was not asked"
    return Finding(WARNING, "not_asked", message, f"Give credentials ({names}); they are used for this one check.")


async def _base_url(one: ServiceRuntime, way: Check[Any], wish: Wish) -> str:
    if wish.base_url is None:
        return way.base_url
    private = one.settings.private_channels
    try:
        url = checked(wish.base_url, private=private)
        if url.query:
            raise Refused("an address has no ?query here")
        async with asyncio.timeout(CALL_SECONDS):
            await address_of(url, private=private)
    except Refused as error:
        message = f"this address cannot be called: {error}"
        raise _wrong("/base_url", "address_refused", message) from None
    except (NotCalled, TimeoutError):
        # That it cannot be reached is what the check will find.
        pass
    return wish.base_url.rstrip("/")


async def _asked(one: ServiceRuntime, way: Check[Any], question: Question[Any]) -> Sequence[Finding]:
    # Reading the system's certificates takes too long for the loop that everything else waits for.
    make = partial(Outside, private=one.settings.private_channels, answer_seconds=CALL_SECONDS)
    outside = await asyncio.to_thread(make)
    try:
        return await _conversation(outside, way.ask(question))
    finally:
        await outside.close()


async def _conversation(outside: Outside, talk: Conversation) -> Sequence[Finding]:
    calls = next(talk)
    while True:
        free = asyncio.Semaphore(CALLS_AT_ONCE)
        answers = await asyncio.gather(*(_answer(outside, call, free) for call in calls))
        try:
            calls = talk.send(answers)
        except StopIteration as done:
            findings: Sequence[Finding] = done.value
            return findings


async def _answer(outside: Outside, call: Call, free: asyncio.Semaphore) -> Answer | None:
    """None when there was none in time; a name that leads elsewhere now than when it was checked has none either."""
    async with free:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await outside.post(call)
        except (Refused, NotCalled, NoAnswer, TimeoutError):
            return None


def _without(finding: Finding, secrets: Iterable[str]) -> Finding:
    """Whatever a platform says, and whoever answers in its place: what it was given is not said again."""
    message = finding.message
    for secret in secrets:
        message = message.replace(secret, "…")
    return replace(finding, message=message)


async def arrive(
    one: ServiceRuntime, *, community_id: UUID, connection_id: UUID, key: str | None, request_id: str
) -> tuple[UUID, str]:
    """Let an activity come through a connection that nobody did and that means nothing, and say its id and source. Only
    that it is durable is waited for. The same `key` is the same activity. It is no sign of life: the platform sent
    nothing. Conflict when the connection is switched off."""
    async with one.db.read() as tx:
        row = await connections.found(tx, community_id=community_id, connection_id=connection_id)
    if not row.active:
        raise Conflict("this connection is switched off; switch it on to try it", code="connection_inactive")
    now = one.clock()
    known = connections.known_of(one, row, now)
    seen = Seen(type=TEST, id=f"test:{key or uuid7(now)}")
    records, _ = await receiving.records_of(one, known, Delivery({}, {}, b"", now), [seen], request_id)
    await receiving.append(one, records)
    return receiving.event_id(known, seen), source_of(seen, row.platform, row.id)
