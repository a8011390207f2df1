"""A delivery of a platform, from its signature to the log."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec

from kit.contracts import ACTIVITY_TOPIC
from kit.database import DatabaseUnavailable
from kit.errors import BadRequest, FieldError, Forbidden, Unauthorized
from kit.log import LogUnavailable, Record
from kit.metrics import DELIVERIES, EVENTS_INGESTED, EVENTS_REJECTED, LOG_APPEND_FAILURES
from kit.service import ServiceRuntime
from services.events import wire
from services.events.handlers.connections import Known
from services.events.handlers.door import one_at_door
from services.events.handlers.reading import pieces_of
from services.events.hearing import Hearing, Written, hearing_of
from services.events.receivers.door import event_of, id_about
from services.events.receivers.form import Answer, Delivery, Malformed, Refused, Seen
from services.events.store import connections as store
from services.events.wire import Accepted, Arrival

STALE_AFTER = timedelta(minutes=10)
LOOKUP_SECONDS = 0.3
ACCEPTED, IGNORED, REFUSED, MALFORMED, UNFIT = "accepted", "ignored", "refused", "malformed", "unfit"
_failures = LOG_APPEND_FAILURES.labels("events").count_exceptions(LogUnavailable)


async def receive(one: ServiceRuntime, known: Known, delivery: Delivery, request_id: str) -> Answer:
    """What the platform is answered, when everything the delivery tells of is durable. Unauthorized, Forbidden or
    BadRequest for what is not the connection's or not its platform's; LogUnavailable when it must be sent again."""
    hearing = hearing_of(one)
    if not known.active:
        raise Forbidden("this connection is switched off", code="connection_inactive")
    try:
        plain = known.receiver.verify(delivery, known.secrets, known.settings)
        secrets = known.secrets[plain.signed_with]
        greeting = known.receiver.greet(plain, secrets, known.settings)
        if greeting is not None:
            _count(hearing, known, delivery, IGNORED, 1)
            return greeting
        translation = known.receiver.translate(plain, known.settings)
    except Refused as error:
        _count(hearing, known, delivery, REFUSED, 1)
        raise Unauthorized(error.message, code=error.code) from error
    except Malformed as error:
        _count(hearing, known, delivery, MALFORMED, 1)
        wrong = FieldError(error.pointer, "payload_malformed", error.message)
        message = f"not what {known.receiver.title} sends: {error.message}"
        raise BadRequest(message, code="payload_malformed", errors=[wrong]) from error
    records = await _records(one, known, delivery, translation.seen, request_id)
    if records:
        with _failures:
            await one.log.append(ACTIVITY_TOPIC, records)
        EVENTS_INGESTED.inc(len(records))
    for seen in translation.seen:
        _remember(hearing, known, seen)
    outcome = ACCEPTED if records else IGNORED
    hearing.note(known.id, known.community_id, delivery.at, outcome, len(records) or 1, translation.beat)
    DELIVERIES.labels(known.receiver.platform, outcome).inc()
    if translation.answer is not None:
        return translation.answer
    accepted = known.receiver.accepted
    return accepted(plain, secrets, known.settings) if callable(accepted) else accepted


def _count(hearing: Hearing, known: Known, delivery: Delivery, outcome: str, count: int) -> None:
    hearing.note(known.id, known.community_id, delivery.at, outcome, count)
    DELIVERIES.labels(known.receiver.platform, outcome).inc()


async def _records(
    one: ServiceRuntime, known: Known, delivery: Delivery, seen: Sequence[Seen], request_id: str
) -> list[Record]:
    """Records of what the door takes; what it does not is counted, and holds nothing else up."""
    pieces = pieces_of(one, known.community_id)
    arrival = Arrival(known.community_id, delivery.at, None, request_id, one.settings.max_event_bytes, pieces)
    out = []
    for each in seen:
        complete = await completed(one, known, each)
        item = event_of(complete, known.receiver.platform, known.id)
        result = await one_at_door(one, arrival, item, wire.check(item, arrival))
        if isinstance(result, Accepted):
            out.append(_ours(result.record, known, each, stale=_stale(each, delivery)))
        else:
            EVENTS_REJECTED.labels(result.wrong.code).inc()
            hearing_of(one).note(known.id, known.community_id, delivery.at, UNFIT, 1)
    return out


def _ours(record: Record, known: Known, seen: Seen, *, stale: bool) -> Record:
    """With what only we say: through which connection it came, its number on its platform, and whether it is told
    long after it happened."""
    assert record.value is not None
    said = b',"connection":"%s"' % str(known.id).encode()
    if seen.sequence is not None:
        said += b',"platformseq":%s' % msgspec.json.encode("{}:{}".format(*seen.sequence))
    return Record(record.key, record.value[:-1] + said + (b',"stale":true}' if stale else b"}"))


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
