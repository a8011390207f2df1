"""Commands in chat about points (E11): what there is to say to who asked.

Whether and where it is said is notify's business. Answers are as of this moment, not of the command's.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.contracts import Envelope, activity_event_id
from kit.contracts.events import Activity
from kit.contracts.rewards import CommandAnswered
from kit.database import Tx
from kit.days import local_day, zone_named
from services.rewards.domain.boards import Board
from services.rewards.domain.explaining import Decided, why
from services.rewards.domain.proofs import PENDING
from services.rewards.domain.streaks import DONE
from services.rewards.handlers import checkins, mending, ranking
from services.rewards.handlers.ranking import Asked
from services.rewards.handlers.series_days import default_of
from services.rewards.handlers.streaks import Fact
from services.rewards.store import attempts, boards, decisions, entries

COMMAND = "command.invoked"
USUAL_BOARD, USUAL_PERIOD, USUAL_UNIT = "xp", "week", "points"
Answer = tuple[str, dict[str, Any]]


async def answer(tx: Tx, batch: Sequence[Envelope[Activity]]) -> None:
    """One answer per command of ours; none for what is history, was told again, is told late, or is one of a flood."""
    asked = [a for e in batch if (a := e.event).type == COMMAND and _is_of_now(a)]
    if not asked:
        return
    pairs = [(a.community_id, a.actor_id) for a in asked if a.actor_id is not None]
    ids = await copies.resolve_members(tx, pairs)
    for a in asked:
        make = _ANSWERS.get(str(a.data.get("command")))
        if make is None or a.actor_id is None:
            continue
        member_id = ids[a.community_id, a.actor_id]
        said, facts = await make(tx, a, member_id)
        outbox.add(
            tx,
            CommandAnswered(
                community_id=a.community_id, event_id=a.event_id, member_id=member_id, answer=said, facts=facts
            ),
        )


def _is_of_now(a: Activity) -> bool:
    return a.import_name is None and a.replay_id is None and not {"stale", "late", "throttled"} & set(a.flags)


async def _checkin(tx: Tx, a: Activity, member_id: UUID) -> Answer:
    """What the check-in that came with the command was worth; it comes before it on the log: its decisions exist."""
    counts = a.data.get("counts")
    if not isinstance(counts, str):
        return "checkin.nothing", {"reason": "the command came without a check-in"}
    event_id = activity_event_id(a.community_id, a.source, counts)
    made = await decisions.of_event(tx, community_id=a.community_id, event_id=event_id)
    day, streak, counted, zone = await _standing(tx, a, member_id)
    amounts: dict[str, int] = {}
    for row in made:
        if row.amount > 0 and row.member_id == member_id:
            amounts[row.unit] = amounts.get(row.unit, 0) + row.amount
    if amounts:
        grants = [{"unit": unit, "amount": amount} for unit, amount in sorted(amounts.items())]
        facts = {"grants": grants, "day": day.isoformat()}
        return ("checkin.streak", {**facts, "streak": streak}) if streak > 1 else ("checkin.counted", facts)
    tried = await attempts.of_event(tx, a.community_id, event_id)
    lacking = list(dict.fromkeys(lack for row in tried for lack in row.missing))
    if any(row.state == PENDING for row in tried):
        return "checkin.pending", {"day": day.isoformat()}
    # What it lacks comes first: as of this moment the one that counts may have come after it.
    if lacking and (counted is None or counted.event_id != event_id):
        return "checkin.refused", {"day": day.isoformat(), "missing": lacking}
    if counted is not None and counted.event_id != event_id:
        return "checkin.again", {"day": day.isoformat(), **_original(counted, zone)}
    if any(row.verdict in ("capped", "cooldown") for row in made):
        return "checkin.again", {"day": day.isoformat()}
    reason = next((_why(row) for row in made if row.amount == 0), "no rule gives anything for a check-in")
    return "checkin.nothing", {"reason": reason}


def _why(row: Any) -> str:
    return why(Decided(row.rule_id, row.unit, row.verdict, row.wanted, row.amount, row.reason), "en")


def _original(counted: Fact, zone: str) -> dict[str, str]:
    """Which check-in counts, and when it was made; nothing of an operator's word."""
    if counted.event_id is None:
        return {}
    at = counted.at.astimezone(zone_named(zone)).replace(microsecond=0)
    return {"event_id": str(counted.event_id), "at": at.isoformat()}


async def _standing(tx: Tx, a: Activity, member_id: UUID) -> tuple[date, int, Fact | None, str]:
    """The day of the command, the member's streak in the community's default series, what counts for the day there,
    and the zone that it goes by."""
    held = default_of((await checkins.in_force(tx, [a.community_id])).get(a.community_id, ()))
    if held is None:
        place = await copies.known_community(tx, a.community_id)
        zone, day_start = (place.zone, place.day_start) if place is not None else ("UTC", 0)
        return local_day(a.effective_at, zone, day_start), 0, None, zone
    seat = await mending.look(tx, a.community_id, held.terms.present.id, member_id)
    walked, calendar = seat.walked(), seat.standing.calendar
    day = calendar.day_of(a.effective_at)
    counted = next(iter(seat.standing.of(DONE, day)), None)
    return day, walked[-1].state.current if walked else 0, counted, calendar.zone_on(day)


async def _points(tx: Tx, a: Activity, member_id: UUID) -> Answer:
    """Every unit that was ever posted to them; nobody needs to hear of the others."""
    held = await entries.accounts_of(tx, a.community_id, member_id)
    balances = [{"unit": row.unit, "amount": row.balance} for row in held]
    return "points", {"balances": balances or [{"unit": USUAL_UNIT, "amount": 0}]}


async def _rank(tx: Tx, a: Activity, member_id: UUID) -> Answer:
    """On the board and in the period that people look at first. Read beside this transaction: what this batch itself
    changes shows in the next answer."""
    board = _usual(await boards.boards_of(tx, a.community_id))
    if board is None:
        return "rank.no_board", {}
    kind = USUAL_PERIOD if USUAL_PERIOD in board.periods else board.periods[0]
    lines = await ranking.page(tx.database, Asked(a.community_id, board.id, kind), 1, member=member_id)
    if lines.me is None:
        return "rank.none", {"board": board.name}
    return "rank", {
        "board": board.name,
        "period": lines.window.period.key,
        "rank": lines.me.rank,
        "total": lines.total,
        "score": lines.me.score,
        "unit": board.unit,
    }


def _usual(there: Sequence[Board]) -> Board | None:
    return next((board for board in there if board.id == USUAL_BOARD), there[0] if there else None)


_ANSWERS = {"checkin": _checkin, "points": _points, "rank": _rank}
