"""Levels: worked out from a balance whenever somebody asks, announced once each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from kit import outbox
from kit.contracts.rewards import LevelPerks, LevelReached
from kit.database import Tx
from kit.errors import Conflict, Unprocessable
from services.rewards.domain import levels as domain
from services.rewards.domain.boards import Contribution
from services.rewards.domain.ledger import MOST, Posting
from services.rewards.handlers import footings
from services.rewards.store import ledger as ledger_store
from services.rewards.store import levels as store


@dataclass(frozen=True, slots=True)
class LevelVersion:
    version: int
    unit: str
    scheme: domain.Scheme
    perks: domain.PerksByLevel


@dataclass(frozen=True, slots=True)
class MemberLevel:
    """`next` is None at the highest level."""

    level: domain.Level
    balance: int
    unit: str
    version: int
    next: domain.Level | None
    perks: domain.Perks


async def follow(
    tx: Tx,
    contributions: Sequence[Contribution],
    moved: Sequence[Posting],
    balances: Mapping[tuple[UUID, UUID, str], int],
) -> None:
    """Announce the levels that contributions led to, and note for rules what the balances were before all that was
    `moved`; `balances` are those after it."""
    if not moved:
        return
    versions = await store.current(tx, {p.community_id for p in moved})
    await footings.open_days(tx, versions, moved, balances)
    await _announce(tx, contributions, versions, balances)


async def _announce(
    tx: Tx,
    contributions: Sequence[Contribution],
    versions: Mapping[UUID, Any],
    balances: Mapping[tuple[UUID, UUID, str], int],
) -> None:
    """One that was announced before is not again, though the balance fell below it meanwhile. A change of the scheme by
    itself announces nothing."""
    changes: dict[tuple[UUID, UUID], tuple[int, bool]] = {}
    causes: dict[tuple[UUID, UUID], UUID | None] = {}
    for c in contributions:
        version = versions.get(c.community_id)
        if version is not None and version.unit == c.unit:
            amount, history = changes.get((c.community_id, c.member_id), (0, True))
            changes[c.community_id, c.member_id] = amount + c.amount, history and c.history
            causes[c.community_id, c.member_id] = c.event_id
    schemes = {community_id: domain.read(version.scheme) for community_id, version in versions.items()}
    passed = []
    for (community_id, member_id), (change, _) in changes.items():
        version = versions[community_id]
        after = balances[community_id, member_id, version.unit]
        reached = domain.reached(schemes[community_id], after - change, after)
        passed += [(community_id, member_id, level) for level in reached]
    new = await store.announce(tx, passed)
    for community_id, member_id, level in passed:
        if (community_id, member_id, level.level) in new:
            event = LevelReached(
                community_id=community_id,
                member_id=member_id,
                level=level.level,
                name=level.name,
                unit=versions[community_id].unit,
                threshold=level.threshold,
                history=changes[community_id, member_id][1],
                cause_id=causes[community_id, member_id],
                perks=_told(domain.read_perks(versions[community_id].perks).get(level.level)),
            )
            outbox.add(tx, event)


def _told(perks: domain.Perks | None) -> LevelPerks | None:
    return None if perks is None else LevelPerks(roles=perks.roles, multiplier=perks.multiplier, shop=perks.shop)


async def current(tx: Tx, community_id: UUID) -> LevelVersion:
    """The version in force; the defaults before there is one."""
    row = (await store.current(tx, [community_id])).get(community_id)
    if row is None:
        return LevelVersion(0, domain.DEFAULT_UNIT, domain.DEFAULT_SCHEME, {})
    return LevelVersion(row.version, row.unit, domain.read(row.scheme), domain.read_perks(row.perks))


async def change(
    tx: Tx,
    community_id: UUID,
    unit: str,
    scheme: domain.Scheme,
    actor: str,
    perks: domain.PerksByLevel = MappingProxyType({}),
) -> LevelVersion:
    """A new version, in force from now on. Conflict when somebody else made one at the same moment."""
    domain.checked(scheme, MOST)
    if unit not in await ledger_store.units_of(tx, community_id):
        raise Unprocessable(f"there is no unit {unit!r}; see GET /v1/units", code="unit_unknown")
    present = await current(tx, community_id)
    version = present.version + 1
    if present.unit != unit:
        await ledger_store.count_followers(tx, community_id, {present.unit: -1, unit: 1})
    if not await store.add_versions(tx, [_row(tx, community_id, version, unit, scheme, actor, perks)]):
        raise Conflict("somebody changed the levels at the same moment; read them again", code="version_changed")
    return LevelVersion(version, unit, scheme, perks)


async def add_defaults(tx: Tx, community_ids: Sequence[UUID]) -> None:
    """Version 1 of the levels every community begins with."""
    scheme, unit = domain.DEFAULT_SCHEME, domain.DEFAULT_UNIT
    new = await store.add_versions(tx, [_row(tx, c, 1, unit, scheme, "guildhall") for c in community_ids])
    for community_id, _ in sorted(new):
        await ledger_store.count_followers(tx, community_id, {unit: 1})


def _row(
    tx: Tx,
    community_id: UUID,
    version: int,
    unit: str,
    scheme: domain.Scheme,
    actor: str,
    perks: domain.PerksByLevel = MappingProxyType({}),
) -> dict[str, object]:
    return {
        "community_id": community_id,
        "version": version,
        "unit": unit,
        "scheme": domain.written(scheme),
        "perks": domain.written_perks(perks) or None,
        "actor": actor,
        "created_at": tx.now,
    }


async def member_level(tx: Tx, community_id: UUID, member_id: UUID) -> MemberLevel:
    """Where a member stands; level 1 with a balance of 0 for one who has no account yet."""
    version = await current(tx, community_id)
    balance = await store.balance(tx, community_id, member_id, version.unit)
    number = version.scheme.level_at(balance)
    return MemberLevel(
        domain.level(version.scheme, number),
        balance,
        version.unit,
        version.version,
        domain.next_level(version.scheme, number),
        domain.in_force(version.perks, number),
    )
