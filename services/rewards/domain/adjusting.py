"""What a caller asks of the ledger by hand, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from kit.errors import Conflict, FieldError, GuildhallError, Unprocessable
from services.rewards.domain.ledger import (
    ADJUST,
    ADJUSTMENT,
    BURN,
    FOLLOWS,
    FREEZES,
    SPEND,
    Posting,
    Unit,
    check_amount,
    digest,
)

ACCEPTED, DUPLICATE, WAITING, REFUSED = "accepted", "duplicate", "waiting", "refused"

COUNTERS = {ADJUSTMENT: ADJUST, SPEND: BURN}
"""Which system account stands opposite the member's, by kind."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry somebody wants posted. `amount` is signed, a spend takes. `effective_at` None: now.

    `allow_negative` lets a correction take more than there is; a spend never may.
    """

    kind: str
    member_id: UUID
    unit: str
    amount: int
    reason: str
    effective_at: datetime | None = None
    allow_negative: bool = False
    idempotency_key: str | None = None
    computed: bool = False
    """`member_id` was computed from an identity, which may earn before the members service has seen it."""
    group_account: str | None = None
    """The name of the group's account whose id `member_id` is then."""

    @property
    def payload_hash(self) -> bytes:
        return digest(
            self.kind, self.member_id, self.unit, self.amount, self.reason, self.effective_at, self.allow_negative
        )


@dataclass(slots=True)
class Outcome:
    """What became of a wish: accepted (`posting`) or duplicate (`id` of the transaction both times), waiting (`id` of
    the adjustment that waits for a second person), refused (`error`)."""

    status: str
    id: UUID | None = None
    error: GuildhallError | None = field(default=None)
    posting: Posting | None = field(default=None)


def check(wish: Wish, units: Mapping[str, Unit], members: set[UUID], erased: set[UUID], now: datetime) -> None:
    """Raises what a wish is refused for before anybody looks at a balance. `erased` are some of the members."""
    check_amount(wish.amount)
    if wish.kind == SPEND and wish.amount > 0:
        raise _wrong("/amount", "spend_positive", "a spend takes: its amount is negative")
    if not wish.reason.strip():
        raise _wrong("/reason", "reason_missing", "say why; the member reads it")
    if wish.unit == FREEZES.id:
        raise unit_follows()
    if wish.unit not in units:
        raise _wrong("/unit", "unit_unknown", f"there is no unit {wish.unit!r}; see GET /v1/units")
    if wish.kind == SPEND and not units[wish.unit].spendable:
        raise _wrong("/unit", "unit_not_spendable", f"{wish.unit} is not for spending")
    if not wish.computed and wish.group_account is None and wish.member_id not in members:
        raise _wrong("/member_id", "member_unknown", "no member of this community has that id")
    if wish.member_id in erased:
        raise member_erased()
    if wish.effective_at is not None and wish.effective_at > now:
        raise _wrong("/effective_at", "in_the_future", "an entry cannot count for a day to come")


def member_erased() -> Conflict:
    return Conflict("this member was erased: nothing goes to them or from them any more", code="member_erased")


def unit_follows() -> Unprocessable:
    return _wrong("/unit", "unit_follows", FOLLOWS)


def _wrong(pointer: str, code: str, message: str) -> Unprocessable:
    return Unprocessable(message, code=code, errors=[FieldError(pointer, code, message)])
