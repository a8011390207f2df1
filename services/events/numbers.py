"""A platform's own numbering, and what is missing in it (E14). Pure.

Numbers may come in any order and more than once. What lies between the highest that came and a higher one is missing
until it comes. A jump of more than `FAR`, up or down, is a new numbering and no gap: platforms begin again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

FAR = 1000


@dataclass(slots=True)
class Range:
    """Numbers that did not come, between what came at `since` and at `until`. Without `id`: found just now, by
    `connection_id`."""

    first: int
    last: int
    since: datetime
    until: datetime
    connection_id: UUID
    id: UUID | None = None
    gap_id: UUID | None = None

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class Stream:
    """How far a numbering has come (`number`, of `at`), and what is missing in it. `gone` are ranges that were known
    and no longer are as they were: something of them came."""

    number: int
    at: datetime
    missing: list[Range] = field(default_factory=list)
    gone: list[Range] = field(default_factory=list)

    def note(self, number: int, at: datetime, connection_id: UUID) -> None:
        step = number - self.number
        if 0 < step <= FAR:
            if step > 1:
                since, until = sorted((self.at, at))
                self.missing.append(Range(self.number + 1, number - 1, since, until, connection_id))
            self.number, self.at = number, at
        elif not self._filled(number) and abs(step) > FAR:
            self.number, self.at = number, at

    def _filled(self, number: int) -> bool:
        for index, one in enumerate(self.missing):
            if one.first <= number <= one.last:
                self.missing[index : index + 1] = _without(one, number)
                if one.id is not None:
                    self.gone.append(one)
                return True
        return False


def _without(one: Range, number: int) -> Iterable[Range]:
    for first, last in ((one.first, number - 1), (number + 1, one.last)):
        if first <= last:
            yield Range(first, last, one.since, one.until, one.connection_id, None, one.gap_id)
