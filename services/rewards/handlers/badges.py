"""Badges: those a new community gets, making and changing them, those in force."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from services.rewards import expressions
from services.rewards.domain.badges import (
    AUTO_REVOKE,
    BALANCE,
    EVENTS,
    EXPIRING,
    MOST_BADGES,
    MOST_COUNTED,
    MOST_DAYS,
    PERCENTILE,
    PROGRAMME,
    RESERVED,
    STREAK,
    Badge,
    Criterion,
)
from services.rewards.domain.levels import MOST_LEVELS
from services.rewards.handlers import checkins
from services.rewards.starter_badges import STARTER
from services.rewards.store import badges as store
from services.rewards.store import boards as boards_store
from services.rewards.store import ledger as ledger_store


class Defined(NamedTuple):
    """A badge of a community in its newest version; `created_at` of the first, `changed_at` and `actor` of that."""

    community_id: UUID
    badge: Badge
    version: int
    created_at: datetime
    changed_at: datetime
    actor: str


MOST_REMEMBERED = 5000
# Versions never change, so what was read once stays right; what is not committed yet may never come to be.
_read: dict[tuple[UUID, str, int], Defined] = {}


async def of_communities(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, list[Defined]]:
    """Community → all its badges, oldest first; one statement while no new version came."""
    return {c: [one for one, _ in some] for c, some in (await _of_communities(tx, community_ids)).items()}


async def _of_communities(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, list[tuple[Defined, bool]]]:
    """The same, with whether a backfill of it is open."""
    newest = await store.newest(tx, community_ids)
    # Taken out first: while this waits for what is missing, others may empty what is remembered.
    known = {key: _read[*key, version] for key, (version, _) in newest.items() if (*key, version) in _read}
    missing = [(*key, version) for key, (version, _) in newest.items() if key not in known]
    if missing:
        born = await store.created_at(tx, [(c, i) for c, i, _ in missing])
        for row in await store.bodies(tx, missing):
            body = msgspec.convert(row.body, Badge)
            at = born[row.community_id, row.id]
            known[row.community_id, row.id] = Defined(
                row.community_id, body, row.version, at, row.created_at, row.actor
            )
        tx.after_commit.append(partial(_remember, [known[key[:2]] for key in missing]))
    out: dict[UUID, list[tuple[Defined, bool]]] = {}
    for key, one in known.items():
        out.setdefault(key[0], []).append((one, newest[key][1]))
    for some in out.values():
        some.sort(key=lambda pair: (pair[0].created_at, pair[0].badge.id))
    return out


def _remember(some: Sequence[Defined]) -> None:
    if len(_read) > MOST_REMEMBERED:
        _read.clear()
    _read.update({(one.community_id, one.badge.id, one.version): one for one in some})


async def in_force(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, list[Defined]]:
    """The enabled ones that go by what happens now. One that counts events does not while a backfill of it is open,
    which counts what comes meanwhile in its turn."""
    out = {}
    for c, some in (await _of_communities(tx, community_ids)).items():
        found = [one for one, apart in some if one.badge.enabled and not (apart and one.badge.criterion.kind == EVENTS)]
        if found:
            out[c] = found
    return out


def types_of(some: Sequence[Defined]) -> set[str]:
    """The event types that one of these badges counts."""
    return {name for one in some for name in one.badge.criterion.on}


async def existing(tx: Tx, community_id: UUID, badge_id: str) -> Defined:
    """One badge, enabled or not; NotFound where there is none of that id."""
    for one in (await of_communities(tx, [community_id])).get(community_id, []):
        if one.badge.id == badge_id:
            return one
    raise NotFound(f"there is no badge {badge_id!r}; see GET /v1/badges", code="badge_unknown")


async def add_defaults(tx: Tx, community_ids: Sequence[UUID]) -> None:
    """The badges every community begins with. Call it before the community's units are made: one that has some is an
    old one, whose members are not told of badges for what they did long ago."""
    old = await ledger_store.places_of(tx, community_ids)
    rows = [
        _row(tx, c, 1, replace(badge, silent=True) if c in old else badge, "guildhall")
        for c in community_ids
        for badge in STARTER
    ]
    await store.add_versions(tx, rows)


async def create(tx: Tx, community_id: UUID, badge: Badge, actor: str) -> Defined:
    """A new badge, in force from now on; Conflict when there is one of that id."""
    there = (await of_communities(tx, [community_id])).get(community_id, [])
    if len(there) >= MOST_BADGES:
        raise Unprocessable(f"a community has at most {MOST_BADGES} badges", code="badges_too_many")
    await _check(tx, community_id, badge)
    if not await store.add_versions(tx, [_row(tx, community_id, 1, badge, actor)]):
        raise Conflict(f"there is a badge {badge.id!r} already", code="badge_exists")
    await _follow(tx, community_id, badge, 1 if badge.enabled else 0)
    if badge.criterion.kind == PROGRAMME:
        await store.put_run(tx, store.new_run(tx, community_id, badge.id))
    return await existing(tx, community_id, badge.id)


async def change(tx: Tx, before: Defined, badge: Badge, actor: str) -> Defined:
    """The next version. Conflict for another criterion or kind, and when somebody else was faster."""
    old = before.badge
    if (old.criterion, old.kind) != (badge.criterion, badge.kind):
        raise Conflict("make another badge: what this one is for stays what it was", code="badge_fixed")
    await _check(tx, before.community_id, badge)
    if not await store.add_versions(tx, [_row(tx, before.community_id, before.version + 1, badge, actor)]):
        raise Conflict("somebody changed this badge at the same moment; read it again", code="version_changed")
    await _follow(tx, before.community_id, badge, badge.enabled - old.enabled)
    return await existing(tx, before.community_id, badge.id)


async def _follow(tx: Tx, community_id: UUID, badge: Badge, step: int) -> None:
    """Postings in units that nothing follows are not looked at."""
    if badge.criterion.kind == BALANCE and step:
        await ledger_store.count_followers(tx, community_id, {badge.criterion.unit: step})


async def _check(tx: Tx, community_id: UUID, badge: Badge) -> None:
    wrong = [*_kind_problems(badge), *await _criterion_problems(tx, community_id, badge.criterion)]
    if badge.id in RESERVED:
        wrong.append(FieldError("/id", "reserved", f"{badge.id} is a word of the routes"))
    if wrong:
        raise Unprocessable("this badge cannot be used; see errors", code="badge_invalid", errors=wrong)


def _kind_problems(badge: Badge) -> list[FieldError]:
    criterion, at = badge.criterion, "/expires_after_days"
    if (badge.kind == EXPIRING) != (badge.expires_after_days is not None):
        return [FieldError(at, "expiring_only", "an expiring badge needs it, and no other has it")]
    if badge.kind == AUTO_REVOKE and criterion.kind == PERCENTILE:
        return [FieldError("/kind", "not_revocable", "a period that is final stays what it was")]
    if badge.kind == AUTO_REVOKE and criterion.kind == STREAK and criterion.measure == "current":
        said = "a streak ends while nobody does anything; longest and days can be lost"
        return [FieldError("/criterion/measure", "not_revocable", said)]
    return []


async def _criterion_problems(tx: Tx, community_id: UUID, criterion: Criterion) -> list[FieldError]:
    out: list[FieldError] = []
    most = {EVENTS: MOST_COUNTED, STREAK: MOST_DAYS, "level": MOST_LEVELS}.get(criterion.kind)
    if most is not None and criterion.least > most:
        out.append(FieldError("/criterion/least", "out_of_range", f"1 to {most}"))
    if criterion.when is not None:
        bad = expressions.field_error(criterion.when, "bool", "/criterion/when", of_rule=False)
        out += [] if bad is None else [bad]
    if criterion.kind in (STREAK, PROGRAMME):
        out += await _series_problems(tx, community_id, criterion)
    if criterion.kind == PERCENTILE:
        out += await _board_problems(tx, community_id, criterion)
    if criterion.kind == BALANCE:
        units = await ledger_store.units_of(tx, community_id)
        if criterion.unit not in units:
            said = f"no unit {criterion.unit!r} here; there are {', '.join(sorted(units))}"
            out.append(FieldError("/criterion/unit", "unit_unknown", said))
    return out


async def _series_problems(tx: Tx, community_id: UUID, criterion: Criterion) -> list[FieldError]:
    at = "/criterion/series"
    try:
        series = (await checkins.existing(tx, community_id, criterion.series)).terms.present
    except NotFound as error:
        return [FieldError(at, "checkin_unknown", str(error))]
    if criterion.kind == PROGRAMME and series.programme is None:
        return [FieldError(at, "no_programme", "this series has no programme that could be passed")]
    return []


async def _board_problems(tx: Tx, community_id: UUID, criterion: Criterion) -> list[FieldError]:
    board = await boards_store.board(tx, community_id, criterion.board)
    if board is None:
        said = f"there is no board {criterion.board!r}; see GET /v1/boards"
        return [FieldError("/criterion/board", "board_unknown", said)]
    if criterion.period not in board.periods:
        return [FieldError("/criterion/period", "period_not_kept", f"this board keeps {', '.join(board.periods)}")]
    return []


def _row(tx: Tx, community_id: UUID, version: int, badge: Badge, actor: str) -> dict[str, Any]:
    return {
        "community_id": community_id,
        "id": badge.id,
        "version": version,
        "body": msgspec.to_builtins(badge),
        "actor": actor,
        "created_at": tx.now,
    }
