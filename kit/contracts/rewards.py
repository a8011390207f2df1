"""What the rewards service publishes on `guildhall.rewards`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kit.contracts import REWARDS_TOPIC, contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one rule decided on one event for one beneficiary and unit (R13).

    `verdict` is one of granted, capped, cooldown, ineligible, budget_exhausted, duplicate, late, throttled,
    not_matched, error, undone, refused; pending (under review: `amount` is 0 until it is told again as granted),
    declined (refused after a review).
    `amount` is what was granted (0 unless granted, or capped with the remainder paid), `wanted` what the rule
    asked for; `reason` says what it was made of where a granted amount was part earned, part drawn.
    On an inverse event (a deletion, a reaction removed) `undone` says what it took back of grants of the rule: `amount`
    is below 0, `reason` the type of the inverse event; `refused`: `wanted` could not be taken back. On an event whose
    inverse came first `undone` has the amount 0. `transaction_id` is None where it would be several.
    What is for a group has no `member_id`: `group_account` is the id of the group's account.
    """

    rule_id: str
    rule_version: int
    member_id: UUID | None
    unit: str
    verdict: str
    wanted: int
    amount: int
    reason: str = ""
    transaction_id: UUID | None = None
    notify: bool = False
    """The rule asks that the member be told of this grant."""
    group_account: UUID | None = None


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.actor_id or e.event_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityScored:
    """The rules ran over one activity and at least one of them matched. `history` is true for imports."""

    community_id: UUID
    event_id: UUID
    event_type: str
    actor_id: UUID | None
    effective_at: datetime
    history: bool
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPerks:
    """What a level brings: roles, strings that open offers of a shop, and what is earned in basis points (15,000: half
    as much again); None: as before."""

    roles: tuple[str, ...] = ()
    multiplier: int | None = None
    shop: tuple[str, ...] = ()


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReached:
    """Announced once per (community, member, level), whatever happens to the balance afterwards.

    `cause_id` is the activity that led to it; None for an entry made by hand. `perks` are what this level adds; None:
    nothing.
    """

    community_id: UUID
    member_id: UUID
    level: int
    name: str
    unit: str
    threshold: int
    history: bool
    cause_id: UUID | None = None
    perks: LevelPerks | None = None


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLed:
    """A member came first on a board's period for the first time; once per (board, period, member).

    `cause_id` is the activity that led to it; None when it was an entry by hand, or somebody else's loss.
    """

    community_id: UUID
    board_id: str
    board_name: str
    period_kind: str
    period_key: str
    member_id: UUID
    score: int
    history: bool
    cause_id: UUID | None = None


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:budget:{e.unit}")
@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReached:
    """What rules give everybody together came to `percent` (80 or 100) of what a budget allows in a window.

    `rule_id` is whose budget it is; None: the unit's, over all rules. `of` says whether `limit` and `used` count an
    amount or grants; `per` is day, week, month, season or lifetime, and `window` its key (2026-11-27, 2026-W48,
    2026-11, 2026-s4, ever). Days in no season are one too: `after 2026-s4`, or `before the first`.
    Told once a window, once more where grants that were undone gave their places back; not of imported history, nor
    of rolling windows.
    """

    community_id: UUID
    unit: str
    rule_id: str | None
    of: str
    per: str
    window: str
    limit: int
    used: int
    percent: int
    effective_at: datetime


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.series_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class DaysExcused:
    """A bot's connection was silent, which is over, until the end of these days (2026-11-23) of a check-in series:
    nobody whose last check-in came through it missed them. By the community's days: those of a member who lives
    elsewhere may be others. Announced once a silence and series."""

    community_id: UUID
    series_id: str
    connection_id: UUID
    gap_id: UUID
    days: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A circle on the ground: degrees and metres."""

    latitude: float
    longitude: float
    radius_m: int


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.series_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckinSeriesChanged:
    """A check-in series was made or changed; the newest `version` holds. What whoever takes activities in has to look
    for in those of the types `on`, because it goes no further: the code word of the day (`code_word` is its language,
    en or zh), a position within `place`; None: nothing."""

    community_id: UUID
    series_id: str
    version: int
    on: tuple[str, ...]
    enabled: bool
    code_word: str | None
    place: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """A line of a finalised period: `rank` by the board's tie policy."""

    rank: int
    member_id: UUID
    score: int


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:board:{e.board_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardFinalized:
    """A period of a board is over, its late grace too, and changes no more; announced once per (board, period).

    `members` are on it; `hash` (lower-case hex) is of all their lines, `first` the best three lines of those who are
    shown, best first, in the order of the board.
    """

    community_id: UUID
    board_id: str
    board_name: str
    unit: str
    period_kind: str
    period_key: str
    members: int
    hash: str
    first: tuple[Placing, ...]


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class LeagueChanged:
    """What a period of a board's league came to for a member: once per (board, period, member).

    `outcome` is promoted, stayed or demoted, from the tier named `tier_before` to `tier`. `played` is false for who
    went down because they did not play; of others who did not play nothing is told.
    """

    community_id: UUID
    board_id: str
    board_name: str
    period_kind: str
    period_key: str
    member_id: UUID
    outcome: str
    tier_before: str
    tier: str
    played: bool


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class PointsAdjusted:
    """An operator or an API client posted or reversed an entry on a member's account, a board paid a prize, or an
    inverse event took back what a rule gave (never what rules give).

    `cause_id` is the activity that the reversed entry came from; None for everything else. `undone_by` is the inverse
    event; `notify` whether the member should be told of it.
    """

    community_id: UUID
    member_id: UUID
    transaction_id: UUID
    unit: str
    amount: int
    reason: str
    cause_id: UUID | None = None
    undone_by: UUID | None = None
    notify: bool = True


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswered:
    """What there is to say to a member who gave a command about points (`command.invoked`, E11).

    `event_id` is that activity. `answer` names what is said, `facts` what it is said with:
    `checkin.counted` {grants: [{unit, amount}], day}, `checkin.streak` the same with {streak}, the days in a row where
    there is more than one, `checkin.again` {day} (this day was counted before) and, where a check-in counts for it,
    {event_id, at}: which one, and when it was made, in the zone that the day goes by (`2026-11-23T08:05:00+08:00`),
    `checkin.refused` {day, missing} (it lacks what its series asks for, and does not count; `missing` are codes such as
    text_too_short), `checkin.pending` {day} (somebody has yet to say that it counts),
    `checkin.nothing` {reason}, `points` {balances: [{unit, amount}]},
    `rank` {board, period, rank, total, score, unit}, `rank.none` {board} (not on it), `rank.no_board` {}.
    """

    community_id: UUID
    event_id: UUID
    member_id: UUID
    answer: str
    facts: dict[str, Any]


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeGranted:
    """A member got a badge; once per (community, badge, member, `number`), which counts the member's grants of it.

    `granted_at` is the effective time of the event that reached it, `cause_id` that event; None for an operator's
    word, an entry by hand, a mended day, and what is over (a programme, a board's period). `expires_at` None: it does
    not end by itself. `history` is true when it was reached by what was imported, or found by a silent backfill;
    `notify` whether the member should be told.
    """

    community_id: UUID
    badge_id: str
    badge_name: str
    member_id: UUID
    number: int
    granted_at: datetime
    expires_at: datetime | None
    history: bool
    notify: bool
    cause_id: UUID | None = None
    actor: str = ""
    reason: str = ""


@contract(REWARDS_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeRevoked:
    """A grant ended; once each. `why` is one of undone (the criterion holds no more), expired, by_hand; `ended_at` of
    one that expired is when it did, not when that was noted. `notify` whether the member should be told: nobody is of
    the end of a grant that they were not told of."""

    community_id: UUID
    badge_id: str
    badge_name: str
    member_id: UUID
    number: int
    ended_at: datetime
    why: str
    notify: bool
    actor: str = ""
    reason: str = ""
