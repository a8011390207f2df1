"""When whom to kill: drawn from one seed, so that a run that failed can be had again."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to `victim`, `delay` seconds after `after` batches were acknowledged; with `again`, once more, so many
    seconds after it was started anew, which as a rule is before it is ready."""

    after: int
    delay: float
    victim: str
    again: float | None = None

    @property
    def count(self) -> int:
        return 1 if self.again is None else 2


def schedule(seed: int, kills: int, batches: int, victims: Sequence[str]) -> tuple[Kill, ...]:
    """`kills` SIGKILLs while `batches` are posted and, a fifth of them, while the rest is worked off afterwards.

    Every victim is killed about as often. Kills whose `after` is `batches` come one after the other at the end.
    """
    random = Random(seed)
    drawn: list[Kill] = []
    left = kills
    while left > 0:
        again = random.uniform(0.05, 2.5) if left > 1 and random.random() < 0.2 else None
        after = batches if random.random() < 0.2 else random.randint(1, max(1, batches - 1))
        victim = victims[len(drawn) % len(victims)]
        drawn.append(Kill(after, random.uniform(0.0, 0.4), victim, again))
        left -= drawn[-1].count
    return tuple(sorted(drawn, key=lambda kill: kill.after))
