"""Rule sets: the starter set of a new community, publishing a version, the ones in force."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit.contracts import Envelope
from kit.contracts.members import CommunityChanged
from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from kit.refusals import refusal
from services.rewards import expressions
from services.rewards.domain.rules import RuleSet, problems
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


async def publish(tx: Tx, *, community_id: UUID, rules: RuleSet, actor: str, note: str, expected: int | None) -> Any:
    """The set as the next version, in force for events handled from now on (forward only)."""
    await checked(tx, community_id=community_id, rules=rules)
    # Before the version in force: of two who publish after the same one, the second finds its number taken.
    newest = await store.newest(tx, community_id=community_id)
    current = (await store.active(tx, community_ids=[community_id])).get(community_id, 0)
    if expected is not None and expected != current:
        raise Conflict(f"version {current} was published meanwhile; read it again", code="version_changed")
    if await plans_store.posting_now(tx, community_id):
        raise Conflict("a recompute is not over; wait for it or cancel it", code="simulation_open")
    epoch = await store.epoch(tx, community_id=community_id, version=current)
    await add_version(
        tx, newest + 1, community_id=community_id, rules=rules, actor=actor, note=note, epoch=epoch, in_force=True
    )
    return await existing(tx, community_id, newest + 1)


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
        "asks_levels": used(rules).levels,
    }
    if not await store.add(tx, rows=[row]):
        raise Conflict("somebody published meanwhile; read it again", code="version_changed")


async def existing(tx: Tx, community_id: UUID, version: int | None = None) -> Any:
    row = await store.one(tx, community_id=community_id, version=version)
    if row is None:
        raise NotFound("no such version of the rules", code="rules_unknown")
    return row


# Versions never change, so what was parsed once stays right.
MOST_REMEMBERED = 1000
_parsed: dict[tuple[UUID, int], "Parsed"] = {}


class Parsed(NamedTuple):
    """A version: its rules, whose counters it goes by (None: the community's own), which signals it asks for."""

    rules: RuleSet
    epoch: UUID | None
    used: Used


async def in_force(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, tuple[int, RuleSet]]:
    """Community → the version in force and its rules; one statement while no new version came."""
    active = await store.active(tx, community_ids=community_ids)
    sets = await of_versions(tx, active.items())
    return {community_id: (version, sets[community_id, version]) for community_id, version in active.items()}


async def of_versions(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], RuleSet]:
    """(community, version) → its rules; no statement for those that this process has read before."""
    return {key: one.rules for key, one in (await _read(tx, keys)).items()}


async def epochs(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], UUID | None]:
    """(community, version) → whose counters it goes by; no statement after `of_versions`."""
    return {key: one.epoch for key, one in (await _read(tx, keys)).items()}


async def uses(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[UUID, Used]:
    """Community → which signals this version of its rules asks for; no statement after `of_versions`."""
    return {community_id: one.used for (community_id, _), one in (await _read(tx, keys)).items()}


async def _read(tx: Tx, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], Parsed]:
    wanted = set(keys)
    # Taken out first: while this waits for what is missing, others may empty what is remembered.
    known = {key: _parsed[key] for key in wanted if key in _parsed}
    if missing := wanted - known.keys():
        read = await store.bodies(tx, keys=sorted(missing))
        new = {}
        for key, (body, epoch) in read.items():
            rules = parse(body)
            new[key] = Parsed(rules, epoch, used(rules))
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
