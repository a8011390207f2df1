"""How much: numbers that chance draws, the same for ever, and how what was earned is mixed in (R16, R72).

All of it is whole numbers, so that every machine comes to the same; docs/rewards.md has the recipe to check a draw by.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal
from uuid import UUID

from kit.errors import FieldError
from services.rewards.domain.ledger import MOST
from services.rewards.domain.levels import WHOLE

Curve = Literal["even", "lowest_of_two"]

EVEN: Final = "even"
LOWEST_OF_TWO: Final = "lowest_of_two"

_NUMBERS_DRAWN: Mapping[Curve, int] = {EVEN: 1, LOWEST_OF_TWO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """The part of an amount that is earned: one of `amount` and `cel` (an expression that gives an int), and its
    `share` of the whole in per cent. What is below `min` counts as `min`, what is above `max` as `max`."""

    amount: int | None = None
    cel: str | None = None
    share: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomAmount:
    """A whole number from `min` to `max`, both possible, the same for the same event for ever (R16).

    `curve`: `even` draws each number equally often; `lowest_of_two` draws twice and takes the lower, so that small
    ones are frequent and large ones rare. With `effort` so much of it is earned and the rest drawn; it still lies
    between `min` and `max`.
    """

    min: int
    max: int
    curve: Curve = EVEN
    effort: Effort | None = None

    def counted(self, earned: int) -> int:
        """What counts of what was earned."""
        return max(self.min, min(self.max, earned))


def mixed(earned: int, drawn: int, share: int) -> int:
    """`share` per cent of what was earned and the rest of what was drawn, to the nearest whole number, halves up: never
    less than the smaller of the two, nor more than the larger."""
    return (share * earned + (100 - share) * drawn + 50) // 100


def multiplied(amount: int, basis_points: int) -> int:
    """So many ten-thousandths of an amount above 0, rounded down, but at least 1; what takes stays as it is."""
    return max(1, amount * basis_points // WHOLE) if amount > 0 else amount


def draw(
    secret: bytes, event_id: UUID, rule_id: str, member_id: UUID, unit: str, low: int, high: int, curve: Curve = EVEN
) -> int:
    """A number from `low` to `high` that only the secret and the event decide."""
    numbers = _even_numbers(secret, f"{event_id.hex}\n{rule_id}\n{member_id.hex}\n{unit}", low, high)
    return min(islice(numbers, _NUMBERS_DRAWN[curve]))


def _even_numbers(secret: bytes, occasion: str, low: int, high: int) -> Iterator[int]:
    """One after the other without end; unbiased (rejection sampling)."""
    span = high - low + 1
    limit = (2**64 // span) * span
    counter = 0
    while True:
        value = int.from_bytes(hmac.digest(secret, f"{occasion}\n{counter}".encode(), "sha256")[:8], "big")
        if value < limit:
            yield low + value % span
        counter += 1


def random_problems(random: RandomAmount, at: str) -> list[FieldError]:
    """What is wrong with it but for what its expression says."""
    out = []
    if not 0 < random.min <= random.max <= MOST:
        out.append(FieldError(at, "amount_invalid", "needs 0 < min <= max, in 62 bits"))
    effort = random.effort
    if effort is None:
        return out
    if (effort.amount is None) == (effort.cel is None):
        out.append(FieldError(f"{at}/effort", "amount_ambiguous", "give one of amount, cel"))
    if not out and effort.amount is not None and not random.min <= effort.amount <= random.max:
        wrong = f"{random.min} to {random.max}: the whole lies between min and max, and so does what is earned of it"
        out.append(FieldError(f"{at}/effort/amount", "out_of_range", wrong))
    if not 0 <= effort.share <= 100:
        wrong = "0 (all chance) to 100 (all effort) per cent; 40 unless given"
        out.append(FieldError(f"{at}/effort/share", "out_of_range", wrong))
    return out
