"""Doing together what several callers want at once: while some of it is under way, what else comes waits and is next.

No timer: who is alone waits for nobody. What a group costs once (a transaction, a trip, a flush to disk) is shared by
as many as came meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from kit.database import is_infrastructure

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


class Gathering(Generic[K, T, R]):
    """`work(key, items)` answers for each item, in their order, with a result or an exception to raise.

    Groups of one key come one after the other and have at most `most` items; groups of different keys side by side.
    Raises `work` itself, every item gets that, unless its group changed nothing for certain: then they are done once
    more one by one, so that nobody fails for another's sake. After trouble with the database nothing is certain, a
    commit may have been kept. Who gives up waiting (is cancelled) does not take its item back.
    """

    def __init__(self, work: Callable[[K, Sequence[T]], Awaitable[Sequence[R | Exception]]], most: int) -> None:
        self._work, self._most = work, most
        self._waiting: dict[K, list[tuple[T, asyncio.Future[R]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def do(self, key: K, item: T) -> R:
        """The result of this item."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        if key in self._waiting:
            self._waiting[key].append((item, future))
        else:
            self._waiting[key] = [(item, future)]
            # Nobody's context: what is done together is no single caller's doing.
            task = asyncio.create_task(self._run(key), context=Context())
            # The loop itself keeps no hold of its tasks.
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _run(self, key: K) -> None:
        waiting = self._waiting[key]
        group: list[tuple[T, asyncio.Future[R]]] = []
        try:
            while group := waiting[: self._most]:
                del waiting[: len(group)]
                for (_, future), result in zip(group, await self._results(key, [i for i, _ in group]), strict=True):
                    _answer(future, result)
        finally:
            # Whoever is not answered, because this task was cancelled, must not wait for ever.
            del self._waiting[key]
            for _, future in (*group, *waiting):
                future.cancel()

    async def _results(self, key: K, items: Sequence[T]) -> Sequence[R | Exception]:
        try:
            return await self._work(key, items)
        except Exception as error:
            # Whatever it is, each caller must hear of it: nobody else waits for this task.
            if len(items) == 1 or is_infrastructure(error):
                return [error for _ in items]
        return [(await self._results(key, [item]))[0] for item in items]


def _answer(future: "asyncio.Future[R]", result: R | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
