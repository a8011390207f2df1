"""What members and operators are told of real activity sums to the ledger, event by event and member by member."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kit.contracts import activity_event_id
from services.events.importers import client
from services.events.importers.lines import Good, Line
from tests.journeys.books import table
from tests.journeys.data import activities_of
from tests.support.platform import App
from tests.support.told import told_in

SEED, EVENTS, MEMBERS = 20261127, 1000, 60

Paid = dict[UUID, Counter[tuple[UUID, str]]]
"""Source event → (member, unit) → what it brought or took."""


async def in_the_ledger(app: App) -> Paid:
    db = app.runtime.services["rewards"].db
    entries, transactions = table(db, "entries"), table(db, "transactions")
    lines = select(transactions.c.source_event_id, entries.c.owner_id, entries.c.unit, entries.c.amount).join(
        entries, entries.c.transaction_id == transactions.c.id
    )
    mine = transactions.c.community_id == app.community
    out: Paid = {}
    async with db.read() as tx:
        accounts = table(db, "accounts")
        system = {r.owner_id for r in await tx.all(select(accounts.c.owner_id).where(accounts.c.system == 1))}
        rows = await tx.all(lines.where(mine, transactions.c.source_event_id.is_not(None)))
    for row in rows:
        if row.owner_id not in system:
            out.setdefault(row.source_event_id, Counter())[row.owner_id, row.unit] += row.amount
    return out


async def explained(app: App, member: UUID, language: str) -> Counter[str]:
    """Every line that a member reads, summed by unit: the numbers are taken out of the sentences."""
    told: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        answer = await app.client.get(
            f"/v1/members/{member}/points/explain", params=query, headers={"Accept-Language": language}
        )
        page = answer.raise_for_status().json()
        for line in page["items"]:
            in_words = told_in(line["text"], language)
            assert in_words == {unit: amount for unit, amount in line["amounts"].items() if amount}, line["text"]
            told.update(in_words)
        cursor = page["next"]
        if cursor is None:
            return told


def with_deletions(activities: list[dict[str, Any]], dice: random.Random) -> list[dict[str, Any]]:
    """A tenth of what was written is deleted afterwards: the recorded site does not say what was."""
    written = [a for a in activities if a["type"] in ("question.asked", "answer.posted") and a.get("subject")]
    gone = dice.sample(written, len(written) // 10)
    return activities + [{**a, "id": f"gone-{a['id']}", "type": "message.deleted", "data": {**a["data"]}} for a in gone]


async def test_what_a_thousand_real_events_are_said_to_have_brought_is_what_the_ledger_has(app: App) -> None:
    dice = random.Random(SEED)
    activities = with_deletions(list(activities_of("qa-site"))[:8000], dice)
    lines: Iterator[Line] = (Good(number, event) for number, event in enumerate(activities, 1))
    outcome = await client.post(app.client, app.api_key, lines, name="real", options=client.Options(batch=500))
    assert outcome.progress.accepted == len(activities)
    await app.settle(300)
    paid = await in_the_ledger(app)

    # What an inverse event took back stands with the event that had brought it, less what it had.
    ids = [activity_event_id(app.community, a["source"], a["id"]) for a in activities]
    taken: Counter[tuple[UUID, str]] = Counter()
    brought: Counter[tuple[UUID, str]] = Counter()
    verdicts: Counter[str] = Counter()
    chosen = dice.sample(ids, EVENTS)
    for event_id in chosen:
        items = (await app.client.get(f"/v1/events/{event_id}/decisions")).raise_for_status().json()["items"]
        verdicts.update(item["verdict"] for item in items)
        told: Counter[tuple[UUID, str]] = Counter()
        for item in items:
            if item["verdict"] in ("undone", "refused") and item["amount"]:
                taken[UUID(item["member_id"]), item["unit"]] += item["amount"]
            elif item["amount"]:
                told[UUID(item["member_id"]), item["unit"]] += item["amount"]
        brought.update(told)
        kept = {who: amount for who, amount in paid.get(event_id, Counter()).items() if amount}
        for who, amount in told.items():
            assert kept.get(who, 0) in (amount, 0), "all of it, or nothing once it was taken back"
        assert kept.keys() <= told.keys(), "nothing in the ledger that nobody tells of"
    assert {"granted", "capped", "undone"} <= verdicts.keys()
    assert sum(brought.values()) > 0 > sum(taken.values())

    db = app.runtime.services["rewards"].db
    accounts = table(db, "accounts")
    async with db.read() as tx:
        mine = accounts.c.community_id == app.community
        rows = await tx.all(select(accounts).where(mine, accounts.c.system == 0, accounts.c.unit != "freezes"))
    balances: dict[UUID, dict[str, int]] = {}
    for row in rows:
        balances.setdefault(row.owner_id, {})[row.unit] = row.balance
    for member in dice.sample(sorted(balances), min(MEMBERS, len(balances))):
        for language in ("en", "zh"):
            told_of = await explained(app, member, language)
            assert {unit: told_of[unit] for unit in balances[member]} == balances[member]
