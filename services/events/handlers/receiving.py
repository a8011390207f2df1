"""A delivery of a platform, from its signature to the log."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from kit.contracts import ACTIVITY_TOPIC, activity_event_id
from kit.database import DatabaseUnavailable
from kit.errors import BadRequest, FieldError, Forbidden, Unauthorized
from kit.log import LogUnavailable, Record
from kit.metrics import DELIVERIES, EVENTS_INGESTED, EVENTS_REJECTED, LOG_APPEND_FAILURES
from kit.service import ServiceRuntime
from services.events import redaction, wire
from services.events.commands import with_commands
from services.events.domain import Wrong
from services.events.handlers import limiting, numbering, refusing
from services.events.handlers.connections import Known
from services.events.handlers.door import one_at_door
from services.events.handlers.reading import pieces_of
from services.events.handlers.refusing import Refusal, Whose
from services.events.hearing import Hearing, Written, hearing_of
from services.events.receivers.door import event_of, id_about, source_of
from services.events.receivers.form import Answer, Beat, Delivery, Malformed, Refused, Seen
from services.events.store import connections as store
from services.events.wire import Accepted, Arrival

STALE_AFTER = timedelta(minutes=10)
LOOKUP_SECONDS = 0.3
COMMAND = "command.invoked"
ACCEPTED, IGNORED, REFUSED, MALFORMED, UNFIT = "accepted", "ignored", "refused", "malformed", "unfit"
_failures = LOG_APPEND_FAILURES.labels("events").count_exceptions(LogUnavailable)


@dataclass(frozen=True, slots=True)
class Taken:
    """What the platform is answered, the activities of the commands that were given, and its sign of life if this was
    one."""

    answer: Answer
    commands: tuple[UUID, ...] = ()
    beat: Beat | None = None


async def receive(one: ServiceRuntime, known: Known, delivery: Delivery, request_id: str) -> Taken:
    """What the platform is answered, when everything the delivery tells of is durable. Unauthorized, Forbidden or
    BadRequest for what is not the connection's or not its platform's; TooManyRequests when the connection sends too
    often; LogUnavailable when it must be sent again."""
    hearing = hearing_of(one)
    if not known.active:
        raise Forbidden("this connection is switched off", code="connection_inactive")
    verified: Delivery | None = None
    try:
        plain = verified = known.receiver.verify(delivery, known.secrets, known.settings)
        limiting.take(one, known.id)
        secrets = known.secrets[plain.signed_with]
        greeting = known.receiver.greet(plain, secrets, known.settings)
        if greeting is not None:
            _count(hearing, known, delivery, IGNORED, 1)
            return Taken(greeting)
        translation = known.receiver.translate(plain, known.settings)
    except Refused as error:
        _count(hearing, known, delivery, REFUSED, 1)
        hearing.note_refused(known.id, delivery.at, f"{error.message} ({error.code})")
        raise Unauthorized(error.message, code=error.code) from error
    except Malformed as error:
        _count(hearing, known, delivery, MALFORMED, 1)
        raise await _malformed(one, known, verified, error, request_id) from error
    seen = with_commands(translation.seen, known.prefixes)
    records, unfit = await records_of(one, known, delivery, seen, request_id)
    await append(one, records, refusing.told(one, unfit, _whose(known, delivery, request_id)))
    for each in translation.seen:
        _remember(hearing, known, each)
    outcome = ACCEPTED if records else IGNORED
    hearing.note(known.id, known.community_id, delivery.at, outcome, len(records) or 1, translation.beat)
    if translation.passed is not None:
        scope = numbering.scope_of(known.receiver.platform, known.id)
        hearing.note_number(known.id, delivery.at, scope, translation.passed)
    DELIVERIES.labels(known.receiver.platform, outcome).inc()
    answer = translation.answer or known.receiver.accepted
    return Taken(
        answer(plain, secrets, known.settings) if callable(answer) else answer,
        tuple(event_id(known, each) for each in seen if each.type == COMMAND) if records else (),
        translation.beat,
    )


def event_id(known: Known, seen: Seen) -> UUID:
    return activity_event_id(known.community_id, source_of(seen, known.receiver.platform, known.id), seen.id)


async def _malformed(
    one: ServiceRuntime, known: Known, verified: Delivery | None, error: Malformed, request_id: str
) -> BadRequest:
    """The answer to what its receiver cannot read, which is kept when it is known whose it is: before that it may be
    anybody's, and nothing of a stranger is kept."""
    field = FieldError(error.pointer, "payload_malformed", error.message)
    message = f"not what {known.receiver.title} sends: {error.message}"
    if verified is None:
        return limiting.Unverified(message, code="payload_malformed", errors=[field])
    wrong = Wrong("payload_malformed", error.pointer, error.message)
    refusal = Refusal(wrong, partial(redaction.of_payload, verified.body, verified.headers))
    await refusing.append(one, refusing.told(one, [refusal], _whose(known, verified, request_id)))
    return BadRequest(message, code="payload_malformed", errors=[field])


async def append(one: ServiceRuntime, records: Sequence[Record], rejected: Sequence[Record] = ()) -> None:
    """What came through a connection, and what of it is refused; LogUnavailable when it is not durable."""
    if not records:
        await refusing.append(one, rejected)
        return
    with _failures, limiting.forgetting(limiting.floods_of(one)):
        await one.log.append(ACTIVITY_TOPIC, [*records, *rejected])
    EVENTS_INGESTED.inc(len(records))


def _count(hearing: Hearing, known: Known, delivery: Delivery, outcome: str, count: int) -> None:
    hearing.note(known.id, known.community_id, delivery.at, outcome, count)
    DELIVERIES.labels(known.receiver.platform, outcome).inc()


async def records_of(
    one: ServiceRuntime, known: Known, delivery: Delivery, seen: Sequence[Seen], request_id: str
) -> tuple[list[Record], list[Refusal]]:
    """Records of what the door takes, and what it does not: that is counted, and holds nothing else up."""
    arrival = Arrival(
        known.community_id,
        delivery.at,
        None,
        request_id,
        one.settings.max_event_bytes,
        floods=limiting.floods_of(one),
        pieces=pieces_of(one, known.community_id),
    )
    out, unfit = [], []
    for each in seen:
        complete = await completed(one, known, each)
        event = event_of(complete, known.receiver.platform, known.id)
        result = await one_at_door(one, arrival, event, wire.check(event, arrival))
        ours = _ours(known, each, delivery)
        if isinstance(result, Accepted):
            out.append(with_ours(result.record, ours))
        else:
            EVENTS_REJECTED.labels(result.wrong.code).inc()
            hearing_of(one).note(known.id, known.community_id, delivery.at, UNFIT, 1)
            unfit.append(Refusal(result.wrong, partial(redaction.of_event, event, {"ours": ours}), result.id))
    return out, unfit


def _ours(known: Known, seen: Seen, delivery: Delivery) -> dict[str, Any]:
    """What only we say: through which connection it came, its number on its platform, and whether it is told long
    after it happened."""
    said: dict[str, Any] = {"connection": str(known.id)}
    if seen.sequence is not None:
        said["platformseq"] = "{}:{}".format(*seen.sequence)
    if _stale(seen, delivery):
        said["stale"] = True
    return said


def with_ours(record: Record, ours: Mapping[str, Any]) -> Record:
    """The record with these attributes spliced in before its last brace."""
    assert record.value is not None
    said = b"".join(b',"%s":%s' % (name.encode(), msgspec.json.encode(value)) for name, value in ours.items())
    return Record(record.key, record.value[:-1] + said + b"}")


def _whose(known: Known, delivery: Delivery, request_id: str) -> Whose:
    return Whose(known.community_id, delivery.at, request_id, connection_id=known.id)


def _stale(seen: Seen, delivery: Delivery) -> bool:
    """A platform tells of joins and leaves again when a bot signs in (E6)."""
    return seen.notice and seen.at is not None and delivery.at - seen.at > STALE_AFTER


async def completed(one: ServiceRuntime, known: Known, seen: Seen) -> Seen:
    """With subject and author of what it is about and what it replies to, where the platform has other names."""
    reply_to = seen.data.get("reply_to")
    if seen.ref is not None and isinstance(reply_to, str):
        answered = await _written(one, known, seen.group, reply_to)
        if answered is not None:
            seen = replace(seen, data={**seen.data, "reply_to": answered.subject})
    if seen.about is None:
        return seen
    found = await _written(one, known, seen.group, seen.about)
    if found is None:
        return seen if seen.subject is not None else replace(seen, subject=seen.about)
    author = seen.author or (found.author if found.author != seen.actor else None)
    id = id_about(seen, found.subject) if seen.shared else seen.id
    return replace(seen, id=id, subject=found.subject, author=author)


async def _written(one: ServiceRuntime, known: Known, group: str | None, ref: str) -> Written | None:
    """Who wrote it, as this process remembers or the database knows; None as well when that does not answer at once."""
    hearing, scopes = hearing_of(one), (str(known.id), known.receiver.platform)
    if group is None:
        return None
    for scope in scopes:
        found = hearing.recall((known.community_id, group, scope, ref))
        if found is not None:
            return found
    try:
        async with asyncio.timeout(LOOKUP_SECONDS), one.db.read() as tx:
            row = await store.written_by(tx, community_id=known.community_id, group=group, scopes=scopes, ref=ref)
    except (DatabaseUnavailable, TimeoutError):
        return None
    return Written(row.subject, row.author) if row is not None else None


def _remember(hearing: Hearing, known: Known, seen: Seen) -> None:
    if seen.type not in WRITTEN or seen.actor is None or seen.subject is None or seen.group is None:
        return
    written = Written(seen.subject, seen.actor)
    scope = known.receiver.platform if seen.shared else str(known.id)
    hearing.remember((known.community_id, seen.group, scope, seen.subject), written)
    if seen.ref is not None:
        hearing.remember((known.community_id, seen.group, str(known.id), seen.ref), written)


WRITTEN = frozenset({"message.created", "question.asked", "answer.posted", "file.uploaded"})
"""What is spoken of later by its name alone."""
