"""Of who is erased nothing is left that names them, wherever it was."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, String, Uuid, func, select

from kit.database import insert_many
from services.rewards.domain.boards import Board
from services.rewards.handlers import absences, adjusting, badges, boards, holds, posters
from services.rewards.handlers.absences import Change
from services.rewards.handlers.backfills import asking
from services.rewards.handlers.holds import Wanted
from services.rewards.store import backfills, erased, shown
from services.rewards.tables import metadata
from services.rewards.tables.badges import badge_runs
from services.rewards.tables.checkins import checkin_attempts, checkin_calendars, checkin_confirmations
from services.rewards.tables.leagues import league_periods, league_seats, league_tiers
from services.rewards.tables.ledger import accounts, entries
from services.rewards.tables.levels import level_announcements
from services.rewards.tables.undoing import waiting_grants
from tests.rewards.badges.support import badge, define
from tests.rewards.erasing.support import erase, faults, forms, naming, pseudonyms
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import Place, change_unit, wish
from tests.rewards.plans.support import plans_of
from tests.rewards.undoing.support import post, react
from tests.support.databases import MakeDatabase

NAMING = {"member_id", "owner_id", "actor_id", "author_id", "after_member", "receiver", "value"}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


def test_every_column_that_may_name_a_member_is_seen_to() -> None:
    """Who adds a table says what becomes of it when a member is erased (`store.erased`)."""
    here: set[Column[Any]] = {c for t in metadata.tables.values() if not t.name.startswith("known_") for c in t.columns}
    kit = {"outbox", "inbox", "dead_letters", "idempotency_keys"}
    columns = {c for c in here if c.table.name not in kit and c.name in NAMING and isinstance(c.type, Uuid | String)}
    seen = {*erased.DELETED, *erased.APART, *(c for one in erased.RENAMED for c in (*one.ids, *one.texts))}
    # Labels are of members, and their `value` is a group's, a platform's or a segment's.
    assert {str(c) for c in columns - seen} == {"member_labels.value"}


async def a_life(guild: Guild, tmp_path: Path) -> list[UUID]:
    """Ann does everything there is to do; returns her entries."""
    ann = guild.member("ann")
    asked = (
        "has(event.data.length) && event.data.length < 3",
        "signals.copied >= 0",
        "counts.ever >= 0",
        "actor.level >= 0",
    )
    short = {"review_when": " && ".join(asked)}
    liked = {"id": "liked", "on": ["reaction.added"], "give": [{"to": "subject_author", "unit": "xp", "amount": 2}]}
    coin = {"id": "coin", "on": ["answer.posted"], "give": [{"to": "actor", "unit": "points", "amount": 50}]}
    rest = {**liked, "when": "signals.share <= 100"}, coin
    caps = [{"per": "day", "limit": 20}]
    await guild.publish(rule(amount=5, caps=caps, **short), *rest)
    loved = badge("loved", on=("reaction.added",), count="people", whose="subject_author", least=5)
    await define(guild, badge(), loved)
    await guild.know("ann", segments=("staff", "poets"))
    await guild.know("bob")
    await guild.score(
        post(guild),
        react(guild),
        react(guild, by="ann", of="bob", subject="m2"),
        guild.act("answer.posted"),
        guild.act(data={"length": 1, "mentions": ["qq:ann", {"who": str(ann)}]}, by="bob"),
        guild.act("checkin.submitted", subject="today"),
    )
    await guild.score(guild.act(data={"length": 1}), *[post(guild, f"n{n}") for n in range(5)])
    async with guild.db.begin() as tx:
        await holds.hold(tx, guild.id, Wanted(ann, "points", 7, "for a book", 3600, None), f"member:{ann}")
        await adjusting.post_one(tx, guild.id, wish(ann, -3, kind="spend"), "operator:o")
    await change_unit(guild, approval_above=100, expires_after_days=30)
    async with guild.db.begin() as tx:
        await adjusting.post_one(tx, guild.id, wish(ann, 500), "operator:o")
        await adjusting.post_one(tx, guild.id, wish(ann, 10), "operator:o")
        away = Change(ann, "xp", "operator", True, "asked for it", f"member:{ann}")
        await absences.change(tx, guild.id, [away])
        await absences.change(tx, guild.id, [away._replace(away=False)])
        await boards.create(tx, Board(guild.id, "all", guild.id, "All", "xp", "competition", ("day", "all"), tx.now))
    plans = plans_of(guild, tmp_path)
    await plans.recompute(rule(amount=6, caps=caps, **short), *rest)
    await plans.simulate(rule(amount=9))
    await rare(guild, ann)
    await posters.code_of(guild.db, guild.id, ann, MORNING.date().replace(day=1))
    assert await guild.balance(ann) > 0
    assert await guild.balance(guild.member("bob"), "xp") > 0
    async with guild.db.read() as tx:
        return [
            r.transaction_id for r in await tx.all(select(entries.c.transaction_id).where(entries.c.owner_id == ann))
        ]


async def rare(guild: Guild, ann: UUID) -> None:
    """What takes long to come about, as rows."""
    at, here = guild.db.clock(), guild.id
    waits = {
        "place": uuid4(), "event_id": uuid4(), "rule_id": "talk", "unit": "xp", "community_id": here, "rule_version": 1,
        "amount": 1, "windows": {}, "ways": [], "event_type": "message.created", "at": at, "history": False,
    }  # fmt: skip
    whose = {"community_id": here, "owner_id": ann}
    await define(guild, badge("rich", what="balance", unit="points", least=1))
    async with guild.db.begin() as tx:
        backfill = await asking.ask(tx, await badges.existing(tx, here, "rich"), since=None, silent=True)
        await backfills.change(tx, backfill, after_member=ann)
    run = {"community_id": here, "badge_id": "ten", "slot": uuid4(), "due_at": at, "after_member": ann, "done": False}
    async with guild.db.begin() as tx:
        await insert_many(
            tx, level_announcements, [{"community_id": here, "member_id": ann, "level": 2, "announced_at": at}]
        )
        await insert_many(tx, checkin_calendars, [{**whose, "since": at, "zone": "UTC", "day_start": 0}])
        await insert_many(tx, badge_runs, [{**run, "enough": None}])
        more = {"subject": None, "review": False, "grounds": None}
        who = ((ann, guild.member("bob")), (guild.member("bob"), ann))
        rows = [{**waits, **more, "member_id": m, "actor_id": a} for m, a in who]
        await insert_many(tx, waiting_grants, rows)
        await insert_many(tx, checkin_attempts, [{**ATTEMPT, **whose_day(guild, ann), "created_at": at, "at": at}])
        await insert_many(tx, checkin_confirmations, [{"thing": uuid4(), "member_id": ann, "created_at": at}])
        over, goes_on, league = uuid4(), uuid4(), uuid4()
        periods = [(over, at), (goes_on, None)]
        await insert_many(
            tx,
            league_periods,
            [
                {"slot": slot, "generation": league, "first_day": at.date(), "settled_at": ended, "after_member": ann}
                for slot, ended in periods
            ],
        )
        seats = [{"slot": slot, "member_id": ann, "first_at": at, "tier": 0, "number": 0} for slot, _ in periods]
        await insert_many(tx, league_seats, seats)
        await insert_many(tx, league_tiers, [{"generation": league, "member_id": ann, "tier": 1}])


ATTEMPT = {"series_id": "daily", "state": "refused", "missing": ["text_too_short"], "reason": ""}


def whose_day(guild: Guild, member: UUID) -> dict[str, Any]:
    today = guild.db.clock().date()
    return {"community_id": guild.id, "event_id": uuid4(), "id": uuid4(), "member_id": member, "day": today}


async def test_nothing_names_who_was_erased(guild: Guild, tmp_path: Path) -> None:
    ann = guild.member("ann")
    there = await a_life(guild, tmp_path)
    assert await faults(guild) == []
    before = await sums(guild)
    tables = {table for table, _ in await naming(guild.db, *forms([ann]), "qq:ann")}
    assert tables >= {c.table.name for c in erased.DELETED} | {one.table.name for one in erased.RENAMED}
    assert tables >= {
        "accounts",
        "entries",
        "transactions",
        "lots",
        "board_scores",
        "kept_activities",
        "plans",
        "signals",
    }
    await erase(guild, "ann")
    assert await naming(guild.db, *forms([ann]), "qq:ann") == []
    async with guild.db.read() as tx:
        rows = await tx.all(select(entries.c.owner_id, entries.c.transaction_id).where(entries.c.line == 0))
        (pseudonym,) = await pseudonyms(guild)
        assert {r.owner_id for r in rows if r.transaction_id in there} == {pseudonym}
        kept = await tx.all(select(accounts).where(accounts.c.owner_id == pseudonym))
        assert {(r.balance, r.debt) for r in kept} == {(0, 0)}
    assert await faults(guild) == []
    assert await sums(guild) == dict.fromkeys(before, 0)


async def sums(guild: Place) -> dict[str, int]:
    async with guild.db.read() as tx:
        sum = func.sum(accounts.c.balance).label("sum")
        rows = await tx.all(select(accounts.c.unit, sum).group_by(accounts.c.unit))
    return {row.unit: int(row.sum) for row in rows}


async def test_a_division_that_is_over_keeps_its_line_and_one_that_goes_on_loses_it(guild: Guild) -> None:
    ann, bob = guild.member("ann"), guild.member("bob")
    await guild.publish(rule(amount=5))
    await guild.know("ann")
    await guild.score(post(guild))
    async with guild.db.begin() as tx:
        standings = await shown.standings(tx, guild.id, [ann])
        over, goes_on = standings[0].slot, standings[1].slot
        at, whose = guild.db.clock(), {"generation": uuid4(), "first_day": guild.db.clock().date()}
        periods = [{**whose, "slot": slot, "settled_at": ended} for slot, ended in ((over, at), (goes_on, None))]
        await insert_many(tx, league_periods, periods)
        seat = {"first_at": at, "tier": 0}
        seats = [
            {**seat, "slot": p["slot"], "member_id": m, "number": n} for p in periods for n, m in enumerate((ann, bob))
        ]
        await insert_many(tx, league_seats, seats)
    await erase(guild, "ann")
    async with guild.db.read() as tx:
        left = {(r.slot, r.member_id) for r in await tx.all(select(league_seats))}
    (pseudonym,) = await pseudonyms(guild)
    assert left == {(over, pseudonym), (over, bob), (goes_on, bob)}
