"""Whether what is stored of streaks is what their facts say: each folded once more, from the beginning."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kit.database import Tx
from services.rewards.domain.streaks import State, fold
from services.rewards.handlers import calendars, checkins
from services.rewards.handlers.series_days import for_series, owner_of
from services.rewards.handlers.streaks import Standing
from services.rewards.store import checkins as store
from services.rewards.store.checkins import Key

PAGE = 200


class Looked(NamedTuple):
    """`last` is the key to go on after; None when there are no more."""

    faults: list[str]
    last: Key | None


async def look(tx: Tx, after: Key | None) -> Looked:
    """The next page of streaks, in the order of their keys, in words where one is wrong."""
    rows = await store.streaks_after(tx, after, PAGE)
    if not rows:
        return Looked([], None)
    series = await checkins.in_force(tx, {row.community_id for row in rows})
    held = {(c, one.terms.present.id): one.terms for c, some in series.items() for one in some}
    stored = {(row.community_id, row.series_id, row.member_id): row for row in rows}
    owners = {key: owner_of(held[key[:2]].present, key[0], key[2]) for key in stored}
    kept = await calendars.stored(tx, owners.values())
    standings = {
        key: Standing(key, held[key[:2]], for_series(kept[owners[key]], held[key[:2]].present), row.as_of, {}, State())
        for key, row in stored.items()
        if owners[key] in kept
    }
    for fact in await store.all_facts(tx, sorted(standings)):
        standings[fact.community_id, fact.series_id, fact.member_id].take(fact)
    last = rows[-1]
    return Looked(_faults(stored, standings), (last.community_id, last.series_id, last.member_id))


def _faults(stored: Mapping[Key, Any], standings: Mapping[Key, Standing]) -> list[str]:
    out = []
    for key, one in standings.items():
        row = stored[key]
        state = fold(State(), one.facts(), one.terms, row.as_of).state
        says = (row.current, row.longest, row.days, row.last_day, row.held)
        folded = (state.current, state.longest, state.days, state.last, state.held)
        if says != folded:
            who = f"streak of {row.member_id} in {row.series_id} of {row.community_id}"
            out.append(f"{who} as of {row.as_of}: stored {_said(says)}, its facts say {_said(folded)}")
    return out


def _said(numbers: Sequence[Any]) -> str:
    current, longest, days, last, held = numbers
    return f"{current} days (longest {longest}, {days} in all, the last {last}, {held} freezes held)"


async def verify_streaks(tx: Tx) -> list[str]:
    """What is wrong of all of them; [] when nothing is."""
    faults: list[str] = []
    looked = await look(tx, None)
    while looked.last is not None:
        faults += looked.faults
        looked = await look(tx, looked.last)
    return faults
