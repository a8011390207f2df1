"""What the other services tell, as messages: points, levels, badges, leagues, the first place of the week.

History is imported without a word: nobody wants a thousand messages about last year.
"""

from kit.contracts import Envelope
from kit.contracts.rewards import (
    ActivityScored,
    BadgeGranted,
    BadgeRevoked,
    BoardLed,
    LeagueChanged,
    LevelReached,
    PointsAdjusted,
)
from kit.database import Tx
from services.notify.domain import Wish
from services.notify.handlers.sending import send

ACTOR = "guildhall"

MOST_UNITS = 20
"""What the template takes. Whoever is paid in more units at once reads of the first; the ledger has them all."""


def asks_to_be_told(event: ActivityScored) -> bool:
    """Whether `tell_points` would have anything to say."""
    return not event.history and any(d.notify and d.amount > 0 and d.member_id is not None for d in event.decisions)


async def tell_points(tx: Tx, batch: list[Envelope[ActivityScored]]) -> None:
    """One message per activity and member for all grants whose rules ask to be told of."""
    wishes = []
    for envelope in batch:
        event = envelope.event
        if event.history:
            continue
        grants: dict[object, dict[str, int]] = {}
        for d in event.decisions:
            if d.notify and d.amount > 0 and d.member_id is not None:
                units = grants.setdefault(d.member_id, {})
                units[d.unit] = units.get(d.unit, 0) + d.amount
        wishes += [
            Wish(
                community_id=event.community_id,
                member_id=member_id,  # type: ignore[arg-type]  # None was left out above
                template="points.granted",
                variables={
                    "grants": [{"amount": amount, "unit": unit} for unit, amount in sorted(units.items())[:MOST_UNITS]],
                    "activity": event.event_type,
                },
                actor=ACTOR,
                cause_id=event.event_id,
                dedupe=f"points.granted:{event.event_id}:{member_id}",
            )
            for member_id, units in grants.items()
        ]
    await send(tx, wishes)


async def tell_levels(tx: Tx, batch: list[Envelope[LevelReached]]) -> None:
    await send(
        tx,
        [
            Wish(
                community_id=e.event.community_id,
                member_id=e.event.member_id,
                template="level.reached",
                variables={
                    "level": e.event.level,
                    "name": e.event.name,
                    "unit": e.event.unit,
                    "threshold": e.event.threshold,
                },
                actor=ACTOR,
                cause_id=e.event.cause_id or e.id,
                dedupe=f"level.reached:{e.event.member_id}:{e.event.unit}:{e.event.level}",
            )
            for e in batch
            if not e.event.history
        ],
    )


async def tell_badges(tx: Tx, batch: list[Envelope[BadgeGranted]]) -> None:
    await send(
        tx,
        [
            Wish(
                community_id=e.event.community_id,
                member_id=e.event.member_id,
                template="badge.granted",
                variables={"badge": e.event.badge_name, "reason": e.event.reason},
                actor=ACTOR,
                cause_id=e.event.cause_id or e.id,
                dedupe=f"badge.granted:{e.event.badge_id}:{e.event.member_id}:{e.event.number}",
            )
            for e in batch
            if e.event.notify
        ],
    )


async def tell_lost_badges(tx: Tx, batch: list[Envelope[BadgeRevoked]]) -> None:
    await send(
        tx,
        [
            Wish(
                community_id=e.event.community_id,
                member_id=e.event.member_id,
                template="badge.revoked",
                variables={"badge": e.event.badge_name, "why": e.event.why, "reason": e.event.reason},
                actor=ACTOR,
                cause_id=e.id,
                dedupe=f"badge.revoked:{e.event.badge_id}:{e.event.member_id}:{e.event.number}",
            )
            for e in batch
            if e.event.notify
        ],
    )


async def tell_first(tx: Tx, batch: list[Envelope[BoardLed]]) -> None:
    """The first place of a week; of days there would be too many, of months and of all time too few."""
    await send(
        tx,
        [
            Wish(
                community_id=e.event.community_id,
                member_id=e.event.member_id,
                template="board.first",
                variables={"board": e.event.board_name, "period": e.event.period_key, "score": e.event.score},
                actor=ACTOR,
                cause_id=e.event.cause_id or e.id,
                dedupe=f"board.first:{e.event.board_id}:{e.event.period_key}:{e.event.member_id}",
            )
            for e in batch
            if e.event.period_kind == "week" and not e.event.history
        ],
    )


async def tell_leagues(tx: Tx, batch: list[Envelope[LeagueChanged]]) -> None:
    """Up or down. Who stays need not be told, and who did not play is left in peace."""
    await send(
        tx,
        [
            Wish(
                community_id=e.event.community_id,
                member_id=e.event.member_id,
                template="league.changed",
                variables={
                    "board": e.event.board_name,
                    "period": e.event.period_key,
                    "outcome": e.event.outcome,
                    "tier": e.event.tier,
                },
                actor=ACTOR,
                cause_id=e.id,
                dedupe=f"league.changed:{e.event.board_id}:{e.event.period_key}:{e.event.member_id}",
            )
            for e in batch
            if e.event.played and e.event.tier != e.event.tier_before
        ],
    )


async def tell_adjusted(tx: Tx, batch: list[Envelope[PointsAdjusted]]) -> None:
    await send(
        tx,
        [
            Wish(
                community_id=e.event.community_id,
                member_id=e.event.member_id,
                template="points.adjusted",
                variables={"amount": e.event.amount, "unit": e.event.unit, "reason": e.event.reason[:500]},
                actor=ACTOR,
                cause_id=e.event.cause_id or e.id,
                dedupe=f"points.adjusted:{e.event.transaction_id}:{e.event.member_id}:{e.event.unit}",
            )
            for e in batch
            if e.event.notify
        ],
    )
