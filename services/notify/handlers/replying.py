"""Commands in chat (E11): where and until when each may be answered (N7), and the one reply that is said to it.

The window comes with the activity, the answer from whoever has it, over topics that know nothing of each other. Each
waits for the other in the row of the command; neither keeps anything else waiting.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.clock import uuid7
from kit.contracts import Envelope, identity_member_id
from kit.contracts.events import Activity
from kit.contracts.members import BindAnswered
from kit.contracts.notify import CallWanted
from kit.contracts.rewards import CommandAnswered
from kit.database import Database, Tx
from kit.metrics import REPLIES_REFUSED
from services.notify.domain import NOT_SENT, QUEUED, SENDING, Resolution, Wish
from services.notify.handlers import sending
from services.notify.replies import (
    ANSWER_WITHIN,
    BUDGET_SPENT,
    CHAT,
    NO_WINDOW,
    OTHER,
    STOPPED,
    allowance,
    channel_name,
    resolve_reply,
    window_until,
)
from services.notify.store import channels as ways
from services.notify.store import messages
from services.notify.store import replies as store

COMMAND, STOP = "command.invoked", "stop"
ACTOR = "guildhall"
LONGEST = 300
MOST_LISTED = 20
AT_ONCE = 100
LOST_AFTER = timedelta(hours=1)
"""So long after its time a call through a connection is given up as unknown, when nobody said what became of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is to be said to the command of `event_id`."""

    community_id: UUID
    event_id: UUID
    member_id: UUID
    template: str
    variables: dict[str, Any]

    def kept(self) -> dict[str, Any]:
        return {"member_id": str(self.member_id), "template": self.template, "variables": self.variables}


def _kept_reply(window: Mapping[str, Any]) -> Reply:
    kept = window["answer"]
    return Reply(
        window["community_id"], window["event_id"], UUID(kept["member_id"]), kept["template"], kept["variables"]
    )


async def take_commands(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """Note where each command may be answered, say what waited for that, and do what `/stop` asks for."""
    asked = {a.event_id: a for e in batch if _answerable(a := e.event)}
    people = [(a.community_id, a.actor_id) for a in asked.values() if a.actor_id is not None]
    member_ids = await copies.resolve_members(tx, people)
    rows = await store.held(tx, commands=[(a.community_id, a.event_id) for a in asked.values()])
    windows: dict[UUID, dict[str, Any]] = {}
    replies: list[Reply] = []
    for event_id, a in asked.items():
        row = dict(rows[event_id]._mapping)
        if row["connection_id"] is not None or a.actor_id is None:
            continue
        member_id = member_ids[a.community_id, a.actor_id]
        window = _window(a, member_id)
        await store.change(tx, event_id=event_id, values=window)
        windows[event_id] = {**row, **window}
        if a.data.get("command") == STOP:
            await suppress(tx, a.community_id, member_id, STOPPED)
            replies.append(Reply(a.community_id, event_id, member_id, "command.stop.done", {}))
        elif row["answer"] is not None:
            replies.append(_kept_reply(row))
    await _say(tx, replies, windows)


def _answerable(a: Activity) -> bool:
    """Somebody said it just now through a connection: no history, nothing told again, no flood, no bot."""
    told_again = a.import_name is not None or a.replay_id is not None or {"stale", "throttled"} & set(a.flags)
    if told_again or a.type != COMMAND or a.connection_id is None or a.actor is None or a.data.get("bot") is True:
        return False
    return max(len(a.actor), len(a.group or "")) <= LONGEST


def _window(a: Activity, member_id: UUID) -> dict[str, Any]:
    assert a.actor is not None
    ref = a.data.get("ref")
    reply_to = ref if isinstance(ref, str) and ref else a.subject
    return {
        "connection_id": a.connection_id,
        "group_ref": a.group,
        "identity": a.actor,
        "member_id": member_id,
        "reply_to": reply_to if reply_to is not None and len(reply_to) <= LONGEST else None,
        "command": str(a.data.get("command", ""))[:60],
        "expires_at": window_until(a.actor, a.group, a.effective_at),
        "remaining": allowance(a.actor).replies,
        "answered_at": None,
        "answer": None,
    }


async def suppress(tx: Tx, community_id: UUID, member_id: UUID, reason: str) -> None:
    """From now on the member hears in chats only answers to their own commands."""
    row = {"community_id": community_id, "member_id": member_id, "channel": CHAT, "reason": reason, "since": tx.now}
    await store.suppress(tx, row={"id": uuid7(tx.now), **row})


async def answer_commands(tx: Tx, batch: list[Envelope[CommandAnswered]]) -> None:
    """What rewards has to say; an answer this version has no words for is left out."""
    replies = [
        (
            e,
            Reply(
                e.event.community_id,
                e.event.event_id,
                e.event.member_id,
                _template(e.event),
                make(e.event.facts),
            ),
        )
        for e in batch
        if (make := _VARIABLES.get(e.event.answer)) is not None
    ]
    await _answer(tx, replies)


def _template(answered: CommandAnswered) -> str:
    # A template of its own: in a community where the other one was ever used its variables are fixed.
    before = answered.answer == "checkin.again" and "at" in answered.facts
    return "command.checkin.before" if before else f"command.{answered.answer}"


async def answer_bindings(tx: Tx, batch: list[Envelope[BindAnswered]]) -> None:
    """What came of a code, to whose it was; else to whoever the identity that said it is."""
    known = [e for e in batch if e.event.outcome in ("linked", "refused", "throttled", "conflict")]
    pairs = {e.id: (e.event.community_id, identity_member_id(e.event.community_id, e.event.identity)) for e in known}
    members = await copies.resolve_members(tx, pairs.values())
    replies = []
    for e in known:
        member_id = e.event.member_id or members[pairs[e.id]]
        template = f"command.bind.{e.event.outcome}"
        replies.append((e, Reply(e.event.community_id, e.event.event_id, member_id, template, {})))
    await _answer(tx, replies)


async def _answer(tx: Tx, replies: Sequence[tuple[Envelope[Any], Reply]]) -> None:
    rows = await store.held(tx, commands=[(reply.community_id, reply.event_id) for _, reply in replies])
    windows = {event_id: dict(row._mapping) for event_id, row in rows.items()}
    ready = []
    for envelope, reply in replies:
        window = windows[reply.event_id]
        if window["connection_id"] is not None:
            ready.append(reply)
        elif envelope.time < tx.now - ANSWER_WITHIN:
            tx.after_commit.append(REPLIES_REFUSED.labels(OTHER, NO_WINDOW).inc)
        elif window["answer"] is None:
            values = {"answer": reply.kept(), "answered_at": envelope.time}
            await store.change(tx, event_id=reply.event_id, values=values)
            window.update(values)
    await _say(tx, ready, windows)


async def _say(tx: Tx, replies: Sequence[Reply], windows: Mapping[UUID, dict[str, Any]]) -> None:
    """One message a command, whoever answers and however often; the rows of the windows are held."""
    wishes = {wish.dedupe: (reply, wish) for reply in replies for wish in [_wish(reply, windows[reply.event_id])]}
    there = await messages.known(
        tx, dedupes=[sending.dedupe_of(wish, reply.event_id) for reply, wish in wishes.values()]
    )
    new = [pair for pair in wishes.values() if sending.dedupe_of(pair[1], pair[0].event_id) not in there]
    if not new:
        return
    context = await sending.context_of(tx, [wish for _, wish in new])
    suppressed = await store.suppressed(tx, pairs=[(r.community_id, r.member_id) for r, _ in new], channel=CHAT)
    connections = [(r.community_id, windows[r.event_id]["connection_id"]) for r, _ in new]
    own = await ways.of_connections(tx, pairs=connections)
    rows, chats = [], []
    for (reply, wish), connection in zip(new, connections, strict=True):
        window, way = windows[reply.event_id], own.get(connection)
        resolution = resolve_reply(
            context.recipient(wish),
            now=tx.now,
            suppressed=suppressed.get((reply.community_id, reply.member_id)),
            expires_at=window["expires_at"],
            remaining=window["remaining"],
        )
        _choose_way(tx, resolution, way)
        rendered, template = sending.worded(tx, wish, context, resolution)
        channel = channel_name(window["identity"]) if way is None else way.kind
        row = sending.row_of(tx, wish, resolution, rendered, template, channel)
        rows.append(row)
        chats.append(_chat(row, window, way))
        await _spend(tx, row, window)
    await messages.add(tx, rows=rows)
    await ways.add_messages(tx, rows=chats)
    for row, chat in zip(rows, chats, strict=True):
        sending.announce(tx, row)
        if row["state"] == SENDING:
            outbox.add(tx, _wanted(row, chat))


def _wish(reply: Reply, window: Mapping[str, Any]) -> Wish:
    return Wish(
        community_id=reply.community_id,
        member_id=reply.member_id,
        template=reply.template,
        variables=reply.variables,
        actor=ACTOR,
        cause_id=reply.event_id,
        dedupe=f"command:{reply.event_id}",
        expires_at=window["expires_at"],
    )


def _choose_way(tx: Tx, resolution: Resolution, way: Any | None) -> None:
    """A channel set up for the connection, else the connection itself, which the events service speaks through: that
    call is on record with this message."""
    if resolution.state != QUEUED:
        return
    if way is None:
        resolution.passed(tx.now, "send", "handed to the connection's bot")
        resolution.state = SENDING
    elif not way.active:
        resolution.ended(tx.now, "send", NOT_SENT, "channel_off", "the channel of this connection is switched off")
    else:
        resolution.passed(tx.now, "send", f"queued for {way.kind}")


async def _spend(tx: Tx, row: Mapping[str, Any], window: dict[str, Any]) -> None:
    values: dict[str, Any] = {"answer": None, "answered_at": None}
    if row["state"] in (QUEUED, SENDING):
        values["remaining"] = window["remaining"] - 1
    elif row["reason"] == BUDGET_SPENT:
        tx.after_commit.append(REPLIES_REFUSED.labels(row["channel"], BUDGET_SPENT).inc)
    await store.change(tx, event_id=window["event_id"], values=values)
    window.update(values)


def _chat(row: Mapping[str, Any], window: Mapping[str, Any], way: Any | None) -> dict[str, Any]:
    lost_at = window["expires_at"] + LOST_AFTER
    return {
        "message_id": row["id"],
        "community_id": row["community_id"],
        "channel_id": way.id if way is not None else None,
        "connection_id": window["connection_id"],
        "group_ref": window["group_ref"],
        "identity": window["identity"],
        "reply_to": window["reply_to"],
        "attempts": 0,
        "expires_at": window["expires_at"],
        "due_at": row["created_at"] if row["state"] == QUEUED else None,
        "lease_until": lost_at if row["state"] == SENDING else None,
        "reference": None,
    }


def _wanted(row: Mapping[str, Any], chat: Mapping[str, Any]) -> CallWanted:
    return CallWanted(
        community_id=row["community_id"],
        connection_id=chat["connection_id"],
        call_id=row["id"],
        group=chat["group_ref"],
        identity=chat["identity"],
        text=row["body"],
        reply_to=chat["reply_to"],
        cause_id=row["cause_id"],
        expires_at=chat["expires_at"],
    )


async def give_up_waiting(db: Database) -> int:
    """Answers whose window did not come in time are not said; how many."""
    before = db.clock() - ANSWER_WITHIN
    async with db.read() as tx:
        late = await store.given_up(tx, before=before, limit=AT_ONCE)
    if not late:
        return 0
    async with db.begin() as tx:
        rows = await store.held(tx, commands=[(row.community_id, row.event_id) for row in late])
        waiting = [row for row in rows.values() if row.answered_at is not None and row.answered_at < before]
        for row in waiting:
            await store.change(tx, event_id=row.event_id, values={"answer": None, "answered_at": None})
    REPLIES_REFUSED.labels(OTHER, NO_WINDOW).inc(len(waiting))
    return len(waiting)


# What the facts of an answer become for its template: only what that declares, and no more of it than that takes.


def _word(value: object) -> str:
    return str(value)[:500]


def _time(value: object, day: object) -> str:
    """08:05 of a time in ISO form, with its date where that is another one than the day's."""
    date, _, time = str(value).partition("T")
    return time[:5] if date == day else f"{date} {time[:5]}"


def _amounts(value: object) -> list[dict[str, Any]]:
    listed = value if isinstance(value, list) else []
    return [{"amount": one["amount"], "unit": _word(one["unit"])} for one in listed[:MOST_LISTED]]


_VARIABLES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "checkin.counted": lambda f: {"grants": _amounts(f["grants"]), "day": _word(f["day"])},
    "checkin.streak": lambda f: {
        "grants": _amounts(f["grants"]),
        "day": _word(f["day"]),
        "streak": f["streak"],
    },
    "checkin.again": lambda f: {
        "day": _word(f["day"]),
        **({"at": _time(f["at"], f["day"])} if "at" in f else {}),
    },
    "checkin.refused": lambda f: {
        "day": _word(f["day"]),
        "missing": [_word(one) for one in f["missing"][:MOST_LISTED]],
    },
    "checkin.pending": lambda f: {"day": _word(f["day"])},
    "checkin.nothing": lambda f: {"reason": _word(f["reason"])},
    "points": lambda f: {"balances": _amounts(f["balances"])},
    "rank": lambda f: {
        **{name: _word(f[name]) for name in ("board", "period", "unit")},
        **{name: f[name] for name in ("rank", "total", "score")},
    },
    "rank.none": lambda f: {"board": _word(f["board"])},
    "rank.no_board": lambda f: {},
}
