"""Long work in turns: requests in the same process do not wait for a whole batch."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

TURN = 64
"""Items between two looks at what else waits: about a millisecond of the work that batches are made of."""


async def in_turns(items: Sequence[T], size: int = TURN) -> AsyncIterator[Sequence[T]]:
    """The items in parts, in order; between two parts the event loop goes round once."""
    for start in range(0, len(items), size):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + size]
