"""Rule sets: the starter set of a new community, publishing a version, the ones in force."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit.contracts import Envelope
from kit.contracts.members import CommunityChanged
from kit.database import Tx, lock_alone
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from kit.refusals import refusal
from services.rewards import expressions
from services.rewards.domain.rules import Rule, RuleSet, problems
from services.rewards.domain.undoing import inverse_types
from services.rewards.domain.versions import Schedule, schedule_of
from services.rewards.handlers.keeping import gate
from services.rewards.handlers.ledger import ensure_defaults
from services.rewards.handlers.signals import Used, used
from services.rewards.starter_rules import STARTER
from services.rewards.store import ledger as ledger_store
from services.rewards.store import plans as plans_store
from services.rewards.store import rules as store


async def welcome(tx: Tx, batch: list[Envelope[CommunityChanged]]) -> None:
    """A community heard of for the first time gets units, levels, a board, and the starter rules as version 1."""
    ids = sorted({e.event.community_id for e in batch})
    await ensure_defaults(tx, ids)
    body = msgspec.to_builtins(STARTER)
    rows = [
        {
            "community_id": id,
            "version": 1,
            "body": body,
            "actor": "guildhall",
            "note": "starter rules",
            "created_at": tx.now,
            "epoch": None,
            "in_force": True,
        }
        for id in ids
    ]
    await store.add(tx, rows=rows)


def parse(body: Any) -> RuleSet:
    """A rule set from JSON values; Unprocessable with pointers for what has no such form, unknown fields among it."""
    try:
        rules = msgspec.convert(body, RuleSet)
    except msgspec.ValidationError as error:
        code, pointer, sentence = refusal(error)
        if "enum value" in sentence:
            sentence += "; GET /v1/rules/schema lists those there are"
        wrong = FieldError(pointer, code, sentence)
        raise Unprocessable("this is no rule set; see errors", code="rules_invalid", errors=[wrong]) from error
    unknown = _unknown(body, msgspec.to_builtins(rules), "")
    if unknown:
        raise Unprocessable("this is no rule set; see errors", code="rules_invalid", errors=unknown)
    return rules


def _unknown(given: Any, kept: Any, at: str) -> list[FieldError]:
    """Fields that reading left out: a misspelt cap must not become no cap without a word."""
    if isinstance(given, dict):
        out = []
        for name, value in given.items():
            if name in kept:
                out += _unknown(value, kept[name], f"{at}/{name}")
            else:
                here = ", ".join(kept)
                out.append(FieldError(f"{at}/{name}", "field_unknown", f"no field {name!r} here; there are {here}"))
        return out
    if isinstance(given, list):
        pairs = enumerate(zip(given, kept, strict=True))
        return [wrong for i, (value, held) in pairs for wrong in _unknown(value, held, f"{at}/{i}")]
    return []


def wrong_expressions(rules: RuleSet) -> list[FieldError]:
    """Every expression that does not compile to the type it should have."""
    out = []
    for i, rule in enumerate(rules.rules):
        if rule.when is not None:
            out.append(expressions.field_error(rule.when, "bool", f"/rules/{i}/when"))
        if rule.review_when is not None:
            out.append(expressions.field_error(rule.review_when, "bool", f"/rules/{i}/review_when"))
        for j, give in enumerate(rule.give):
            for where, source in give.computed():
                out.append(expressions.field_error(source, "int", f"/rules/{i}/give/{j}/{where}"))
    return [wrong for wrong in out if wrong is not None]


async def checked(tx: Tx, *, community_id: UUID, rules: RuleSet) -> None:
    """Unprocessable with everything that is wrong with the set."""
    wrong = problems(rules, await ledger_store.units_of(tx, community_id))
    # An expression over the length never reaches the compiler.
    if not any(w.code in ("too_long", "too_many") for w in wrong):
        wrong += wrong_expressions(rules)
    if wrong:
        raise Unprocessable("these rules cannot be used; see errors", code="rules_invalid", errors=wrong)


FARTHEST = timedelta(days=400)
MOST_SCHEDULED = 20


async def publish(
    tx: Tx,
    *,
    community_id: UUID,
    rules: RuleSet,
    actor: str,
    note: str,
    expected: int | None,
    effective_from: datetime | None = None,
) -> Any:
    """The set as the next version: for what is handled from now on, or for what happens from `effective_from` on."""
    await checked(tx, community_id=community_id, rules=rules)
    if effective_from is not None:
        await _check_schedule(tx, community_id, effective_from)
    # Before the version in force: of two who publish after the same one, the second finds its number taken.
    newest = await store.newest(tx, community_id=community_id)
    current = await current_version(tx, community_id)
    if expected is not None and expected != current:
        raise Conflict(f"version {current} was published meanwhile; read it again", code="version_changed")
    if await plans_store.posting_now(tx, community_id) is not None:
        raise Conflict("a recompute is not over; wait for it or cancel it", code="simulation_open")
    epoch = await store.epoch(tx, community_id=community_id, version=current)
    await add_version(
        tx,
        newest + 1,
        community_id=community_id,
        rules=rules,
        actor=actor,
        note=note,
        epoch=epoch,
        in_force=effective_from is None,
        effective_from=effective_from,
    )
    return await existing(tx, community_id, newest + 1)


async def _check_schedule(tx: Tx, community_id: UUID, effective_from: datetime) -> None:
    """Unprocessable for a time that is not to come, or too far; Conflict where too many wait for theirs already."""
    # Nobody scores until this is committed, and the clock is asked after that: so what happens from then on is scored
    # by this version, all of it.
    await lock_alone(tx, gate(community_id))
    now = tx.database.clock()
    if not now < effective_from <= now + FARTHEST:
        wrong = FieldError("/effective_from", "out_of_range", f"in the future, at most {FARTHEST.days} days from now")
        raise Unprocessable("rules are scheduled for a time to come", code="schedule_invalid", errors=[wrong])
    # Of a community that was not welcomed yet, the first version has to hold from the beginning.
    await existing(tx, community_id)
    if len(await store.scheduled_after(tx, community_id=community_id, at=now)) >= MOST_SCHEDULED:
        raise Conflict(f"{MOST_SCHEDULED} versions are scheduled already; cancel one", code="too_many_scheduled")


async def cancel(tx: Tx, *, community_id: UUID, version: int, actor: str) -> Any:
    """Of a version that is scheduled: it never holds. Conflict from its start on."""
    await lock_alone(tx, gate(community_id))
    row = await existing(tx, community_id, version)
    if row.cancelled_at is not None:
        return row
    if row.effective_from is None:
        raise Conflict("only what is scheduled is cancelled; roll back to an older version", code="version_unscheduled")
    if row.effective_from <= tx.database.clock():
        what = "it has started; roll back by POST /v1/rules/versions/{version}/rollback of the one before"
        raise Conflict(what, code="version_started")
    await store.cancel(tx, community_id=community_id, version=version, by=actor)
    return await existing(tx, community_id, version)


async def add_version(
    tx: Tx,
    version: int,
    *,
    community_id: UUID,
    rules: RuleSet,
    actor: str,
    note: str,
    epoch: UUID | None,
    in_force: bool,
    effective_from: datetime | None = None,
) -> None:
    """The set (checked) as this version; Conflict when somebody publishes at the same moment."""
    row = {
        "community_id": community_id,
        "version": version,
        "body": msgspec.to_builtins(rules),
        "actor": actor,
        "note": note,
        "created_at": tx.now,
        "epoch": epoch,
        "in_force": in_force,
        "effective_from": effective_from,
        "asks_levels": used(rules).levels,
    }
    if not await store.add(tx, rows=[row]):
        raise Conflict("somebody published meanwhile; read it again", code="version_changed")


async def existing(tx: Tx, community_id: UUID, version: int | None = None) -> Any:
    """A version, or the one that holds now."""
    number = await current_version(tx, community_id) if version is None else version
    row = await store.one(tx, community_id=community_id, version=number)
    if row is None:
        raise NotFound("no such version of the rules", code="rules_unknown")
    return row


async def current_version(tx: Tx, community_id: UUID) -> int:
    """The version that holds for what happens now; 0 where there is none."""
    published = (await store.holding(tx, community_ids=[community_id])).get(community_id, ())
    schedule = schedule_of(published)
    return 0 if schedule is None else schedule.at(tx.now)


# Versions never change, so what was parsed once stays right.
MOST_REMEMBERED = 1000
_parsed: dict[tuple[UUID, int], "Parsed"] = {}


class Parsed(NamedTuple):
    """A version: its rules, those of each event type, what undoes what they gave, whose counters it goes by (None: the
    community's own), which signals it asks for."""

    version: int
    rules: RuleSet
    by_type: Mapping[str, Sequence[Rule]]
    inverse: frozenset[str]
    epoch: UUID | None
    used: Used


@dataclass(frozen=True, slots=True)
class Holding:
    """The rules of a community: several versions where one is scheduled, each for what happens in its time."""

    schedule: Schedule
    sets: Mapping[int, Parsed]

    def at(self, when: datetime) -> Parsed:
        return self.sets[self.schedule.at(when)]

    @property
    def inverse(self) -> frozenset[str]:
        """The types of inverse events, by any of them: what one gave is undone as that one says, though another holds
        by then."""
        return frozenset[str]().union(*(one.inverse for one in self.sets.values()))

    @property
    def epoch(self) -> UUID | None:
        """Whose counters they go by, all of them: there is no recompute while one is scheduled, and after it those from
        before it hold for nothing."""
        return self.sets[self.schedule.standing].epoch

    @property
    def ages(self) -> bool:
        """Whether any of them asks for how long somebody is known."""
        return any(one.used.ages for one in self.sets.values())

    @property
    def levels(self) -> bool:
        """Whether any of them asks for levels."""
        return any(one.used.levels for one in self.sets.values())

    @property
    def streaks(self) -> frozenset[str]:
        """Of which event types any of them asks for the actor's streak."""
        return frozenset[str]().union(*(one.used.streaks for one in self.sets.values()))


async def in_force(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, Holding]:
    """Community → the rules that hold, and when; one statement while no new version came."""
    schedules = {
        community_id: schedule
        for community_id, published in (await store.holding(tx, community_ids=community_ids)).items()
        if (schedule := schedule_of(published)) is not None
    }
    read = await _read(tx, [(c, version) for c, schedule in schedules.items() for version in schedule.versions])
    return {
        c: Holding(schedule, {version: read[c, version] for version in schedule.versions})
        for c, schedule in schedules.items()
    }


async def alone(tx: Tx, community_id: UUID, version: int) -> Holding:
    """This version, for whatever happened."""
    return Holding(Schedule(version), {version: (await _read(tx, [(community_id, version)]))[community_id, version]})


async def of_versions(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], RuleSet]:
    """(community, version) → its rules; no statement for those that this process has read before."""
    return {key: one.rules for key, one in (await _read(tx, keys)).items()}


async def epochs(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], UUID | None]:
    """(community, version) → whose counters it goes by; no statement after `of_versions`."""
    return {key: one.epoch for key, one in (await _read(tx, keys)).items()}


async def _read(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], Parsed]:
    wanted = set(keys)
    # Taken out first: while this waits for what is missing, others may empty what is remembered.
    known = {key: _parsed[key] for key in wanted if key in _parsed}
    if missing := wanted - known.keys():
        read = await store.bodies(tx, keys=sorted(missing))
        new = {}
        for key, (body, epoch) in read.items():
            rules = parse(body)
            new[key] = Parsed(key[1], rules, rules.by_type(), inverse_types(rules), epoch, used(rules))
        if len(_parsed) > MOST_REMEMBERED:
            _parsed.clear()
        _parsed.update(new)
        known |= new
    return {key: known[key] for key in wanted}


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema of a rule set, for editors; what expressions may look at stands with their fields."""
    made = msgspec.json.schema(RuleSet)
    seen = f"CEL. Variables: {', '.join(sorted(expressions.VARIABLES))}"
    for of, names in (("Rule", ("when", "review_when")), ("Give", ("cel",)), ("Effort", ("cel",))):
        for name in names:
            made["$defs"][of]["properties"][name]["description"] = seen
    multiplied = "By what the receiver's level brings, where the amount is above 0, rounded down, before any limit."
    made["$defs"]["Give"]["properties"]["multiplied"]["description"] = multiplied
    made["$defs"]["Effort"]["properties"]["share"] |= {"minimum": 0, "maximum": 100}
    return made
