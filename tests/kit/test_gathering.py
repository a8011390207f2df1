"""What is asked for at once is done together, nobody waits for a timer, nobody fails for another's sake."""

import asyncio
from collections.abc import Sequence

import pytest

from kit.database import DatabaseUnavailable
from kit.gathering import Gathering


class Doubling:
    """Doubles numbers; a group is over when the test says so."""

    def __init__(self, most: int = 3, *, gated: bool = True) -> None:
        self.groups: list[tuple[str, list[int]]] = []
        self.gate = asyncio.Semaphore(0 if gated else 10**6)
        self.gathering: Gathering[str, int, int] = Gathering(self.work, most)

    async def work(self, key: str, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append((key, list(items)))
        await self.gate.acquire()
        if 13 in items:
            raise RuntimeError("unlucky")
        if 666 in items:
            raise DatabaseUnavailable("the connection broke in the commit")
        return [ValueError(f"{item} is odd") if item % 2 else item * 2 for item in items]

    def ask(self, item: int, key: str = "a") -> "asyncio.Task[int]":
        return asyncio.create_task(self.gathering.do(key, item))


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_is_alone_waits_for_nobody_and_who_comes_meanwhile_goes_together() -> None:
    doubling = Doubling()
    first = doubling.ask(2)
    await turn()
    assert doubling.groups == [("a", [2])]
    others = [doubling.ask(n) for n in (4, 6, 8, 10)]
    await turn()
    for _ in range(3):
        doubling.gate.release()
    assert await first == 4
    assert await asyncio.gather(*others) == [8, 12, 16, 20]
    assert doubling.groups == [("a", [2]), ("a", [4, 6, 8]), ("a", [10])]


async def test_keys_do_not_wait_for_each_other() -> None:
    doubling = Doubling()
    tasks = [doubling.ask(2, "a"), doubling.ask(4, "b")]
    await turn()
    assert doubling.groups == [("a", [2]), ("b", [4])]
    doubling.gate.release()
    doubling.gate.release()
    assert await asyncio.gather(*tasks) == [4, 8]


async def test_an_items_own_error_is_its_own() -> None:
    doubling = Doubling(gated=False)
    results = await asyncio.gather(*(doubling.ask(n) for n in (2, 3, 4)), return_exceptions=True)
    assert (results[0], str(results[1]), results[2]) == (4, "3 is odd", 8)


async def test_a_group_that_raises_is_done_one_by_one() -> None:
    doubling = Doubling(gated=False)
    results = await asyncio.gather(*(doubling.ask(n) for n in (2, 13, 4)), return_exceptions=True)
    assert (results[0], str(results[1]), results[2]) == (4, "unlucky", 8)
    assert doubling.groups == [("a", [2, 13, 4]), ("a", [2]), ("a", [13]), ("a", [4])]


async def test_a_group_that_may_have_been_kept_is_not_done_again() -> None:
    doubling = Doubling(gated=False)
    results = await asyncio.gather(*(doubling.ask(n) for n in (2, 666, 4)), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 3
    assert doubling.groups == [("a", [2, 666, 4])]


async def test_who_gives_up_keeps_nobody_back_and_what_comes_later_is_done() -> None:
    doubling = Doubling()
    given_up, other = doubling.ask(2), doubling.ask(4)
    await turn()
    given_up.cancel()
    doubling.gate.release()
    assert await other == 8
    with pytest.raises(asyncio.CancelledError):
        await given_up
    doubling.gate.release()
    assert await doubling.ask(6) == 12
    assert doubling.groups == [("a", [2, 4]), ("a", [6])]
