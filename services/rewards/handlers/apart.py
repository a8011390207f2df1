"""Work of a loop that nothing refused may stop: together where it can be, one by one where it cannot."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from kit.errors import GuildhallError, Unavailable

logger = structlog.get_logger(__name__)

T = TypeVar("T")


async def together_or_apart(items: Sequence[T], work: Callable[[Sequence[T]], Awaitable[int]]) -> int:
    """How many were done. `work` takes some in a transaction of its own; when it is refused (an account that cannot
    hold more), it takes them one by one, and what is refused then stays as it is, named in the log."""
    if not items:
        return 0
    try:
        return await work(items)
    except Unavailable:
        raise
    except GuildhallError as error:
        if len(items) == 1:
            logger.error("loop.refused", item=str(items[0]), code=error.code, error=str(error))
            return 0
    return sum([await together_or_apart([item], work) for item in items])
