"""From a wish to a message: resolve, render, place, announce; many at once, each at most once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from kit import copies, outbox
from kit.clock import uuid7
from kit.consumer import NotYet
from kit.contracts import Envelope
from kit.contracts.notify import MessageDue, MessageStateChanged
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from kit.errors import Conflict, NotFound, Unprocessable
from kit.metrics import MESSAGES
from services.notify.channels import inbox as inbox_channel
from services.notify.domain import (
    CANCELLED,
    DELIVERED,
    HELD,
    Recipient,
    Resolution,
    Step,
    Wish,
    may_move,
    resolve,
)
from services.notify.handlers import templates
from services.notify.shipped import SHIPPED
from services.notify.store import channels as ways
from services.notify.store import messages as store

STEP = 50
"""So many messages are made before others in this process get a turn."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a batch of wishes needs to know of the world."""

    communities: Mapping[UUID, KnownCommunity]
    members: Mapping[tuple[UUID, UUID], KnownMember]
    templates: Mapping[tuple[UUID, str], templates.Template]

    def recipient(self, wish: Wish) -> Recipient:
        member = self.members.get((wish.community_id, wish.member_id))
        return Recipient(member.state, member.kind) if member is not None else Recipient(None, "person")


async def context_of(tx: Tx, wishes: Sequence[Wish]) -> Context:
    """NotYet when a community is not known here yet; Unprocessable for a template there is not."""
    communities = await copies.known_communities(tx, {w.community_id for w in wishes})
    for wish in wishes:
        if wish.community_id not in communities:
            raise NotYet(f"the community {wish.community_id} is not known here yet")
    members = await copies.known_members_of(tx, {(w.community_id, w.member_id) for w in wishes})
    found = await templates.in_force(tx, [(w.community_id, w.template) for w in wishes])
    for wish in wishes:
        if (wish.community_id, wish.template) not in found:
            raise Unprocessable(
                f"there is no template {wish.template!r}; see GET /v1/templates", code="template_unknown"
            )
    return Context(communities, members, found)


def plan(tx: Tx, wish: Wish, context: Context) -> tuple[Resolution, templates.Rendered, templates.Template]:
    """What would become of a wish now; changes nothing."""
    recipient = context.recipient(wish)
    resolution = resolve(recipient, now=tx.now, not_before=wish.not_before, expires_at=wish.expires_at)
    return resolution, *worded(tx, wish, context, resolution)


def worded(
    tx: Tx, wish: Wish, context: Context, resolution: Resolution
) -> tuple[templates.Rendered, templates.Template]:
    """The texts of a wish, and the template they were made with; a step tells when that was not the one in force."""
    member = context.members.get((wish.community_id, wish.member_id))
    template = context.templates[wish.community_id, wish.template]
    own = member.locale if member is not None else None
    locale = wish.locale or own or context.communities[wish.community_id].locale
    try:
        rendered = templates.render(template, wish.variables, locale)
    except Unprocessable as error:
        if wish.template not in SHIPPED or template.version == 1:
            raise
        # A community's own text that fails must not cost its members the news, nor stop everybody's consumer.
        rendered = templates.render_shipped(wish.template, wish.variables, locale)
        why = error.errors[0].message if error.errors else error.message
        resolution.steps.insert(0, Step(tx.now, "template", "replaced", f"version {template.version}: {why}"[:300]))
        template = replace(template, version=1)
    return rendered, template


def dedupe_of(wish: Wish, id: UUID) -> UUID:
    """Once per community and key; a message without a key is only its own twin."""
    return uuid5(wish.community_id, wish.dedupe) if wish.dedupe is not None else id


async def send(tx: Tx, wishes: Sequence[Wish]) -> list[dict[str, Any]]:
    """Make the messages that are not there yet; returns their rows, in the order of the wishes."""
    if not wishes:
        return []
    context = await context_of(tx, wishes)
    rows: dict[UUID, dict[str, Any]] = {}
    for number, wish in enumerate(wishes, 1):
        row = row_of(tx, wish, *plan(tx, wish, context))
        if number % STEP == 0:
            await asyncio.sleep(0)
        rows.setdefault(row["dedupe"], row)
    there = await store.known(tx, dedupes=rows)
    fresh = [row for dedupe, row in rows.items() if dedupe not in there]
    await inbox_channel.place(tx, [row for row in fresh if row["state"] == DELIVERED])
    new = await store.add(tx, rows=fresh)
    made = [row for row in fresh if row["dedupe"] in new]
    # A twin that committed while we waited for it has the place; ours never came to be.
    lost = [row for row in fresh if row["dedupe"] not in new and row["state"] == DELIVERED]
    if lost:
        await inbox_channel.give_back(tx, lost, made)
    for row in made:
        announce(tx, row)
        if row["state"] == HELD:
            due = MessageDue(community_id=row["community_id"], message_id=row["id"])
            outbox.add(tx, due, not_before=row["not_before"], due_key=due_key(row["id"]))
    return made


def due_key(message_id: UUID) -> str:
    return f"message:{message_id}"


def row_of(
    tx: Tx,
    wish: Wish,
    resolution: Resolution,
    rendered: templates.Rendered,
    template: templates.Template,
    channel: str = inbox_channel.NAME,
) -> dict[str, Any]:
    """The message a wish becomes."""
    id = uuid7(tx.now)
    return {
        "id": id,
        "community_id": wish.community_id,
        "member_id": wish.member_id,
        "dedupe": dedupe_of(wish, id),
        "template": wish.template,
        "template_version": template.version,
        "category": template.category,
        "channel": channel,
        "locale": rendered.locale,
        "title": rendered.title,
        "body": rendered.body,
        "variables": dict(wish.variables),
        "actor": wish.actor,
        "cause_id": wish.cause_id,
        "state": resolution.state,
        "reason": resolution.reason,
        "steps": [step.as_json() for step in resolution.steps],
        "created_at": tx.now,
        "state_at": tx.now,
        "not_before": wish.not_before,
        "expires_at": wish.expires_at,
        "position": None,
    }


def announce(tx: Tx, row: Mapping[str, Any]) -> None:
    """Tell the others of the state a message came into, and count it."""
    event = MessageStateChanged(
        community_id=row["community_id"],
        message_id=row["id"],
        member_id=row["member_id"],
        template=row["template"],
        channel=row["channel"],
        state=row["state"],
        reason=row["reason"],
        cause_id=row["cause_id"],
        changed_at=tx.now,
    )
    outbox.add(tx, event)
    tx.after_commit.append(MESSAGES.labels(row["channel"], row["state"], row["reason"] or "").inc)


async def deliver_due(tx: Tx, batch: list[Envelope[MessageDue]]) -> None:
    """Held messages whose time has come are resolved again: what was true then may not be now (N8)."""
    waiting = await store.waiting(tx, ids=[e.event.message_id for e in batch])
    members = await copies.known_members_of(tx, {(r.community_id, r.member_id) for r in waiting})
    moving: list[tuple[dict[str, Any], Resolution]] = []
    for found in waiting:
        row = dict(found._mapping)
        member = members.get((row["community_id"], row["member_id"]))
        recipient = Recipient(member.state, member.kind) if member is not None else Recipient(None, "person")
        resolution = resolve(recipient, now=tx.now, not_before=row["not_before"], expires_at=row["expires_at"])
        if resolution.state == HELD:
            # It left early only if somebody's clock is ahead of ours: back to waiting.
            due = MessageDue(community_id=row["community_id"], message_id=row["id"])
            outbox.add(tx, due, not_before=row["not_before"], due_key=due_key(row["id"]))
            continue
        moving.append((row, resolution))
    # In one go and in the order they were due: inboxes are taken in one order by everybody, or two would wait for
    # each other for ever.
    moving.sort(key=lambda pair: (pair[0]["not_before"], pair[0]["id"]))
    await inbox_channel.place(tx, [row for row, resolution in moving if resolution.state == DELIVERED])
    for row, resolution in moving:
        await move(tx, row, resolution.state, resolution.reason, resolution.steps)


async def move(tx: Tx, row: dict[str, Any], state: str, reason: str | None, steps: Sequence[Step]) -> None:
    """Bring a message, whose row is held, into another state; Conflict when there is no way from its own."""
    if not may_move(row["state"], state):
        raise Conflict(f"a message that is {row['state']} cannot become {state}", code="state_final")
    told = [*row["steps"], *(step.as_json() for step in steps)]
    await store.set_state(tx, message_id=row["id"], state=state, reason=reason, steps=told, position=row["position"])
    row.update(state=state, reason=reason, steps=told, state_at=tx.now)
    announce(tx, row)


async def cancel(tx: Tx, community_id: UUID, message_id: UUID, actor: str) -> dict[str, Any]:
    """Take back a message that has not left; NotFound, or Conflict when it is too late. Cancelling twice is one."""
    # Its part in a chat before the message itself, as the sender does it: two who hold one each would wait for ever.
    await ways.hold(tx, message_ids=[message_id])
    found = await store.lock(tx, community_id=community_id, message_id=message_id)
    if found is None:
        raise NotFound("no such message here", code="message_unknown")
    row = dict(found._mapping)
    if row["state"] == CANCELLED:
        return row
    if not may_move(row["state"], CANCELLED):
        raise Conflict(f"this message is {row['state']} and cannot be taken back", code="state_final")
    await outbox.cancel(tx, due_key(message_id))
    await ways.set_message(tx, message_id=message_id, values={"due_at": None})
    await move(tx, row, CANCELLED, "cancelled", [Step(tx.now, "cancel", CANCELLED, f"by {actor}")])
    return row
