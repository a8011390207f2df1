"""What became of an activity: decisions and messages kept from what the other services announce (E4)."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from kit.contracts import activity_event_id, identity_member_id
from kit.contracts.notify import MessageStateChanged
from kit.contracts.rewards import ActivityScored, Decision
from tests.events.support import Events, event

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)


def decision(member: UUID, verdict: str = "granted", transaction: UUID | None = None) -> Decision:
    return Decision(
        rule_id="message",
        rule_version=1,
        member_id=member,
        unit="points",
        verdict=verdict,
        wanted=1,
        amount=1 if transaction else 0,
        reason="",
        transaction_id=transaction,
    )


def scored(community: UUID, event_id: UUID, *decisions: Decision) -> ActivityScored:
    return ActivityScored(
        community_id=community,
        event_id=event_id,
        event_type="message.created",
        actor_id=identity_member_id(community, "qq:1"),
        effective_at=NINE,
        history=False,
        decisions=decisions,
    )


def message(community: UUID, cause: UUID | None, state: str = "delivered") -> MessageStateChanged:
    return MessageStateChanged(
        community_id=community,
        message_id=uuid4(),
        member_id=uuid4(),
        template="points_granted",
        channel="inbox",
        state=state,
        reason=None,
        cause_id=cause,
        changed_at=NINE,
    )


async def test_a_trace_tells_the_activity_every_decision_the_entries_and_the_messages(events: Events) -> None:
    await events.place.post(event(id="t"))
    id = activity_event_id(events.place.id, "/bots/one", "t")
    member, entry = identity_member_id(events.place.id, "qq:1"), uuid4()
    await events.hear(
        scored(events.place.id, id, decision(member, transaction=entry), decision(member, "capped")),
        message(events.place.id, id),
        message(events.place.id, None),
        message(events.place.id, uuid4()),
    )
    trace = await events.place.get(f"/v1/events/{id}/trace")
    assert trace["stored"]["id"] == "t"
    assert [d["verdict"] for d in trace["decisions"]] == ["granted", "capped"]
    assert [d["transaction_id"] for d in trace["entries"]] == [str(entry)]
    assert [(m["template"], m["state"]) for m in trace["messages"]] == [("points_granted", "delivered")]
    assert sorted(s["kind"] for s in trace["steps"]) == ["message", "scored"]


async def test_an_activity_of_which_nothing_became_has_an_empty_trace(events: Events) -> None:
    await events.place.post(event(id="t"))
    await events.settle()
    trace = await events.place.get(f"/v1/events/{activity_event_id(events.place.id, '/bots/one', 't')}/trace")
    assert (trace["decisions"], trace["entries"], trace["messages"], trace["steps"]) == ([], [], [], [])


async def test_news_that_come_before_the_activity_is_stored_are_kept_for_it(events: Events) -> None:
    id = activity_event_id(events.place.id, "/bots/one", "late")
    await events.hear(scored(events.place.id, id, decision(uuid4(), "not_matched")))
    unknown = await events.place.client.get(f"/v1/events/{id}/trace")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "event_unknown")
    await events.place.post(event(id="late"))
    await events.settle()
    assert [d["verdict"] for d in (await events.place.get(f"/v1/events/{id}/trace"))["decisions"]] == ["not_matched"]


async def test_a_decision_told_of_another_community_does_not_enter_a_trace(events: Events) -> None:
    other = await events.new_place()
    await events.place.post(event(id="t"))
    id = activity_event_id(events.place.id, "/bots/one", "t")
    await events.hear(scored(other.id, id, decision(uuid4())))
    assert (await events.place.get(f"/v1/events/{id}/trace"))["steps"] == []
