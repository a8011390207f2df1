"""Check-in series: the one a new community gets, making and changing them, those in force."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit import outbox
from kit.code_words import code_word
from kit.contracts.rewards import CheckinSeriesChanged, Place
from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from services.rewards import expressions
from services.rewards.domain.checkins import DEFAULT_SERIES, LONGEST_PROGRAMME, MOST_SERIES, Programme, Series, Terms
from services.rewards.domain.ledger import Unit
from services.rewards.domain.proofs import CODE_WORD, LOCATION, REFEREE, Approval, Proof
from services.rewards.store import checkins as store
from services.rewards.store import ledger as ledger_store


class Held(NamedTuple):
    """A series of a community with all its versions; `created_at` of the first, `changed_at` and `actor` of the
    newest."""

    community_id: UUID
    terms: Terms
    created_at: datetime
    changed_at: datetime
    actor: str

    @property
    def version(self) -> int:
        return len(self.terms.versions)


MOST_REMEMBERED = 1000
# Versions never change, so what was read once stays right; what is not committed yet may never come to be.
_read: dict[tuple[UUID, str, int], Held] = {}


async def in_force(tx: Tx, community_ids: Iterable[UUID]) -> dict[UUID, list[Held]]:
    """Community → its series, oldest first; one statement while no new version came."""
    newest = await store.versions(tx, community_ids)
    # Taken out first: while this waits for what is missing, others may empty what is remembered.
    known = {key: _read[*key, version] for key, version in newest.items() if (*key, version) in _read}
    missing = [key for key in newest if key not in known]
    found: dict[tuple[UUID, str], list[Any]] = {}
    for row in await store.bodies(tx, missing):
        found.setdefault((row.community_id, row.id), []).append(row)
    for (community_id, id), rows in found.items():
        terms = Terms(tuple([(row.first_day, msgspec.convert(row.body, Series)) for row in rows]))
        last = rows[-1]
        # One that came between the two statements is in force as well.
        known[community_id, id] = Held(community_id, terms, rows[0].created_at, last.created_at, last.actor)
    if found:
        tx.after_commit.append(partial(_remember, {key: known[key] for key in found}))
    out: dict[UUID, list[Held]] = {}
    for key, held in known.items():
        out.setdefault(key[0], []).append(held)
    for some in out.values():
        some.sort(key=lambda held: (held.created_at, held.terms.present.id))
    return out


def _remember(some: Mapping[tuple[UUID, str], Held]) -> None:
    if len(_read) > MOST_REMEMBERED:
        _read.clear()
    _read.update({(*key, held.version): held for key, held in some.items()})


async def existing(tx: Tx, community_id: UUID, series_id: str) -> Held:
    """One series; NotFound where there is none of that id."""
    for held in (await in_force(tx, [community_id])).get(community_id, []):
        if held.terms.present.id == series_id:
            return held
    raise NotFound(f"there is no check-in series {series_id!r}; see GET /v1/checkins", code="checkin_unknown")


async def add_defaults(tx: Tx, community_ids: Sequence[UUID]) -> None:
    """The series every community begins with."""
    await store.add_versions(tx, [_row(tx, c, 1, date.min, DEFAULT_SERIES, "guildhall") for c in community_ids])


async def create(tx: Tx, community_id: UUID, series: Series, actor: str) -> Held:
    """A new series; Conflict when there is one of that id."""
    there = (await in_force(tx, [community_id])).get(community_id, [])
    if len(there) >= MOST_SERIES:
        raise Unprocessable(f"a community has at most {MOST_SERIES} check-in series", code="checkins_too_many")
    await _check(tx, community_id, series)
    if not await store.add_versions(tx, [_row(tx, community_id, 1, date.min, series, actor)]):
        raise Conflict(f"there is a check-in series {series.id!r} already", code="checkin_exists")
    return _announced(tx, await existing(tx, community_id, series.id))


async def change(tx: Tx, before: Held, series: Series, tomorrow: date, actor: str) -> Held:
    """The next version; what days ask for changes from `tomorrow` on. Conflict when somebody else was faster."""
    await _check(tx, before.community_id, series)
    _check_programme_change(before.terms.present.programme, series.programme, tomorrow)
    row = _row(tx, before.community_id, before.version + 1, tomorrow, series, actor)
    if not await store.add_versions(tx, [row]):
        raise Conflict("somebody changed this series at the same moment; read it again", code="version_changed")
    return _announced(tx, await existing(tx, before.community_id, series.id))


def _announced(tx: Tx, held: Held) -> Held:
    """The door has to know what to look for."""
    series = held.terms.present
    asked = {proof.kind: proof for proof in series.proof}
    word, place = asked.get(CODE_WORD), asked.get(LOCATION)
    outbox.add(
        tx,
        CheckinSeriesChanged(
            community_id=held.community_id,
            series_id=series.id,
            version=held.version,
            on=series.on,
            enabled=series.enabled,
            code_word=None if word is None else word.language,
            place=None if place is None else Place(place.latitude, place.longitude, place.radius_m),
        ),
    )
    return held


def word_of(tx: Tx, held: Held, day: date) -> str:
    """The series' code word of a day; Conflict where it asks for none."""
    series = held.terms.present
    asked = next((proof for proof in series.proof if proof.kind == CODE_WORD), None)
    if asked is None:
        raise Conflict("this series asks for no code word; give its `proof` one", code="code_word_not_asked")
    return code_word(tx.database.secret, held.community_id, series.id, day, asked.language)


async def _check(tx: Tx, community_id: UUID, series: Series) -> None:
    units = await ledger_store.units_of(tx, community_id)
    wrong = []
    if series.freeze.price:
        wrong += _unit_problems(series.freeze.unit, "/freeze/unit", units)
    if series.repair.price:
        wrong += _unit_problems(series.repair.unit, "/repair/unit", units)
    wrong += _condition_problems(series.when, "/when")
    if series.programme is not None:
        wrong += _programme_problems(series.programme)
        wrong += _condition_problems(series.programme.joins_when, "/programme/joins_when")
    wrong += _proof_problems(series.proof) + _approval_problems(series.approval)
    if wrong:
        raise Unprocessable("this series cannot be used; see errors", code="checkin_invalid", errors=wrong)


def _proof_problems(proof: Sequence[Proof]) -> list[FieldError]:
    wrong = []
    for number, one in enumerate(proof):
        at = f"/proof/{number}"
        if any(_asks_for(one) == _asks_for(other) for other in proof[:number]):
            wrong.append(FieldError(at, "twice", "this is asked for already, further up"))
        if one.least is not None and one.most is not None and one.least > one.most:
            wrong.append(FieldError(f"{at}/most", "below_least", "the most is less than the least"))
    return wrong


def _approval_problems(approval: Approval | None) -> list[FieldError]:
    if approval is None or (approval.by == REFEREE) == bool(approval.referees):
        return []
    said = "name at least one" if approval.by == REFEREE else f"there are none where {approval.by} says it"
    return [FieldError("/approval/referees", "referees_unfit", said)]


def _asks_for(proof: Proof) -> tuple[str, str]:
    return proof.kind, proof.field


def _condition_problems(when: str | None, at: str) -> list[FieldError]:
    bad = None if when is None else expressions.field_error(when, "bool", at, of_rule=False)
    return [] if bad is None else [bad]


def _programme_problems(programme: Programme) -> list[FieldError]:
    days = (programme.last_day - programme.first_day).days + 1
    if days < 1:
        return [FieldError("/programme/last_day", "before_first_day", "the last day is before the first")]
    if days > LONGEST_PROGRAMME:
        said = f"a programme lasts at most {LONGEST_PROGRAMME} days, not {days}"
        return [FieldError("/programme/last_day", "too_long", said)]
    return []


def _check_programme_change(before: Programme | None, after: Programme | None, tomorrow: date) -> None:
    """Days that were judged stay judged."""
    if before == after:
        return
    if before is None or after is None:
        raise Conflict("make another series: one with a programme keeps it, others get none", code="programme_fixed")
    if min(before.first_day, after.first_day) < tomorrow:
        raise Conflict(
            f"a programme changes until its first day begins anywhere; it would have to begin on {tomorrow} or later",
            code="programme_begun",
        )


def _unit_problems(unit: str, at: str, units: dict[str, Unit]) -> list[FieldError]:
    if unit not in units:
        return [FieldError(at, "unit_unknown", f"no unit {unit!r} here; there are {', '.join(sorted(units))}")]
    if not units[unit].spendable:
        return [FieldError(at, "unit_not_spendable", f"{unit} is not for spending")]
    return []


def _row(tx: Tx, community_id: UUID, version: int, first_day: date, series: Series, actor: str) -> dict[str, Any]:
    return {
        "community_id": community_id,
        "id": series.id,
        "version": version,
        "first_day": first_day,
        "body": msgspec.to_builtins(series),
        "actor": actor,
        "created_at": tx.now,
    }
