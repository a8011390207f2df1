"""Saying things through a channel of our own (N4, N5), and hearing what became of what others say for us.

A call is recorded before it is made, and made outside any transaction. Between the record and its result a process may
die: what is found `sending` with a lease that has ended is `unknown`, and is not tried again, since no provider here
takes the same request twice as one.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken

from kit.contracts import Envelope
from kit.contracts.events import CallEnded
from kit.database import Database, DatabaseUnavailable, Tx
from kit.metrics import PROVIDER_BUSY
from kit.outside import NoAnswer, NotCalled, Outside, Refused
from kit.service import ServiceRuntime
from services.notify.channels import channels
from services.notify.channels.form import Failed, Outcome, Retry, Said, Sent, Unfit, Unknown
from services.notify.domain import EXPIRED, NOT_SENT, QUEUED, SENDING, SENT, UNKNOWN, Step, may_move
from services.notify.handlers import sending
from services.notify.handlers.channels import opened, settings_of
from services.notify.handlers.replying import suppress
from services.notify.replies import BLOCKED, backoff
from services.notify.store import channels as store
from services.notify.store import messages

LEASE = timedelta(seconds=60)
"""Longer than a call can take: looking up, connecting, asking, reading, each with its limit in `kit.outside`."""
BREAKS = 5
PAUSE = timedelta(seconds=30)
BUSY_SECONDS = 5.0
AT_ONCE = 100
TRIES_TO_WRITE = (0.2, 1.0, 3.0, 10.0)


@dataclass(frozen=True, slots=True)
class Claim:
    """A call that is on record as being made: by whom else it is, nobody makes it."""

    channel: Any
    message: dict[str, Any]
    said: Said
    attempt: int


async def claim_next(db: Database, channel_id: UUID) -> Claim | None:
    """The message of this channel that is due longest; None when there is none, or the channel is to be left alone."""
    async with db.begin() as tx:
        way = await store.lock(tx, channel_id=channel_id)
        if way is None or not way.active or (way.paused_until is not None and way.paused_until > tx.now):
            return None
        chat = await store.next_due(tx, channel_id=channel_id)
        if chat is None:
            return None
        found = await store.of_message(tx, message_id=chat.message_id)
        assert found is not None, "a message goes together with its part in a chat"
        row, attempt = dict(found._mapping), chat.attempts + 1
        step = Step(tx.now, "attempt", "made", f"attempt {attempt} through {way.kind}")
        if row["state"] == QUEUED:
            await sending.move(tx, row, SENDING, None, [step])
        else:
            await _note(tx, row, step)
        values = {"attempts": attempt, "due_at": None, "lease_until": tx.now + LEASE}
        await store.set_message(tx, message_id=row["id"], values=values)
        if way.failures >= BREAKS:
            # Half open: this one tries, the others wait for what comes of it.
            await store.change(tx, channel_id=channel_id, values={"paused_until": tx.now + LEASE})
    said = Said(row["body"], chat.group_ref, chat.identity, chat.reply_to)
    return Claim(way, row, said, attempt)


async def _note(tx: Tx, row: dict[str, Any], step: Step) -> None:
    """A step that changes no state."""
    told = [*row["steps"], step.as_json()]
    await messages.set_state(tx, message_id=row["id"], state=row["state"], reason=row["reason"], steps=told)
    row["steps"] = told


async def call(one: ServiceRuntime, outside: Outside, claim: Claim) -> tuple[Outcome, bool]:
    """Make the call; what came of it, and whether that speaks against the provider."""
    way = channels()[claim.channel.kind]
    try:
        settings = settings_of(way, claim.channel.settings)
        wanted = way.call(claim.said, opened(one, claim.channel), settings)
        outcome = way.read(await outside.post(wanted))
    except Unfit as error:
        return Failed("not_addressable", str(error)), False
    except InvalidToken:
        return Failed("secrets_unreadable", "they were sealed under another GUILDHALL_SECRET_KEY"), False
    except Refused as error:
        return Failed("address_refused", str(error)), False
    except NotCalled:
        return Retry("not_reached", None), True
    except NoAnswer as error:
        return Unknown("no_answer", f"the request left, and then: {error}"), True
    return outcome, isinstance(outcome, Retry | Failed) and outcome.trouble


async def finish(db: Database, claim: Claim, outcome: Outcome, trouble: bool) -> None:
    """Write down what came of a call. A result that comes after its lease resolves an `unknown` where it can."""
    async with db.begin() as tx:
        way = await store.lock(tx, channel_id=claim.channel.id)
        chat = (await store.hold(tx, message_ids=[claim.message["id"]])).get(claim.message["id"])
        found = await store.of_message(tx, message_id=claim.message["id"])
        if chat is not None and found is not None and chat.attempts == claim.attempt:
            await _end(tx, chat, dict(found._mapping), outcome)
        if way is not None:
            await store.change(tx, channel_id=way.id, values=_health(tx, way, outcome, trouble))
    if isinstance(outcome, Retry) and outcome.everything:
        PROVIDER_BUSY.labels(claim.channel.kind).inc()


def _health(tx: Tx, way: Any, outcome: Outcome, trouble: bool) -> dict[str, Any]:
    """How the channel stands after a call: troubles in a row, and until when it is left alone."""
    if isinstance(outcome, Retry) and outcome.everything:
        wait = timedelta(seconds=BUSY_SECONDS if outcome.after is None else outcome.after)
        return {"failures": 0, "paused_until": tx.now + wait}
    if not trouble:
        # Somebody else's 429 of a moment ago still holds.
        return {"failures": 0, "paused_until": None if way.failures >= BREAKS else way.paused_until}
    failures = way.failures + 1
    return {"failures": failures, "paused_until": tx.now + PAUSE if failures >= BREAKS else way.paused_until}


async def _end(tx: Tx, chat: Any, row: dict[str, Any], outcome: Outcome) -> None:
    due, reference = None, None
    match outcome:
        case Sent():
            reference = outcome.reference
            state, reason, detail = SENT, None, f"as {reference}" if reference else ""
        case Unknown():
            state, reason, detail = UNKNOWN, outcome.reason, outcome.detail
        case Failed():
            state, reason, detail = NOT_SENT, outcome.reason, outcome.detail
            if outcome.blocked and chat.group_ref is None:
                await suppress(tx, row["community_id"], row["member_id"], BLOCKED)
        case Retry():
            wait = backoff(chat.attempts) if outcome.after is None else timedelta(seconds=outcome.after)
            due, state, reason = tx.now + wait, SENDING, outcome.reason
            detail = f"{outcome.reason}: again at {due.isoformat()}"
            if due >= chat.expires_at:
                due, state, reason = None, EXPIRED, "expired"
                detail = f"{outcome.reason}, and the next attempt would be after {chat.expires_at.isoformat()}"
    if state == SENDING and row["state"] == SENDING:
        await _note(tx, row, Step(tx.now, "outcome", "retry", detail[:300]))
    elif may_move(row["state"], state):
        await sending.move(tx, row, state, reason, [Step(tx.now, "outcome", state, detail[:300])])
    else:
        due = None
    values = {"due_at": due, "lease_until": None, "reference": reference[:300] if reference else None}
    await store.set_message(tx, message_id=row["id"], values=values)


async def send_next(one: ServiceRuntime, outside: Outside, channel_id: UUID) -> bool:
    """One call of this channel, if there is one to make; whether there was."""
    claim = await claim_next(one.db, channel_id)
    if claim is None:
        return False
    outcome, trouble = await call(one, outside, claim)
    for pause in (*TRIES_TO_WRITE, None):
        try:
            await finish(one.db, claim, outcome, trouble)
            return True
        except DatabaseUnavailable:
            # What was said must not end as unknown because the database was away for a moment.
            if pause is None:
                raise
            await asyncio.sleep(pause)
    return True


async def give_up_overdue(db: Database) -> int:
    """Messages whose time is over expire; calls that were never heard of again are unknown. How many there were."""
    async with db.read() as tx:
        rows = await store.overdue(tx, limit=AT_ONCE)
    if not rows:
        return 0
    async with db.begin() as tx:
        held = await store.hold(tx, message_ids=[row.message_id for row in rows])
        for chat in held.values():
            await _give_up(tx, chat)
    return len(rows)


async def _give_up(tx: Tx, chat: Any) -> None:
    """Looked at again: it may have been sent, or tried, since it was found."""
    if chat.lease_until is not None and chat.lease_until <= tx.now:
        state, reason, detail = UNKNOWN, "lost", "the call was on record, and nobody said what became of it"
    elif chat.due_at is not None and chat.expires_at <= tx.now:
        state, reason, detail = EXPIRED, "expired", f"it was good until {chat.expires_at.isoformat()}"
    else:
        return
    found = await store.of_message(tx, message_id=chat.message_id)
    await store.set_message(tx, message_id=chat.message_id, values={"due_at": None, "lease_until": None})
    if found is not None and may_move(found.state, state):
        await sending.move(tx, dict(found._mapping), state, reason, [Step(tx.now, "outcome", state, detail)])


# What the connection's bot said for us

_ENDS = {
    "sent": (SENT, None),
    "failed": (NOT_SENT, "bot_refused"),
    "expired": (EXPIRED, "expired"),
    "unknown": (UNKNOWN, "no_answer"),
}


async def end_calls(tx: Tx, batch: list[Envelope[CallEnded]]) -> None:
    """What became of messages that went through a connection; told twice, or about another's message, it is nothing."""
    told = [e.event for e in batch if e.event.outcome in _ENDS]
    held = await store.hold(tx, message_ids=list({event.call_id for event in told}))
    # In the order they were told: the first that ends a message counts, whether or not the next is in the same batch.
    for event in told:
        chat = held.get(event.call_id)
        if chat is not None and chat.channel_id is None:
            await _end_call(tx, chat, event)


async def _end_call(tx: Tx, chat: Any, event: CallEnded) -> None:
    if (event.community_id, event.connection_id) != (chat.community_id, chat.connection_id):
        return
    state, reason = _ENDS[event.outcome]
    found = await store.of_message(tx, message_id=event.call_id)
    if found is None or not may_move(found.state, state):
        return
    detail = event.reason[:300] or (f"as {event.reference}" if event.reference else "")
    await sending.move(tx, dict(found._mapping), state, reason, [Step(tx.now, "outcome", state, detail)])
    reference = event.reference[:300] if event.reference else None
    await store.set_message(tx, message_id=event.call_id, values={"lease_until": None, "reference": reference})
