"""Long work in turns."""

import asyncio

from kit.turns import in_turns


async def test_all_items_come_in_order_and_others_run_between_the_parts() -> None:
    seen: list[int] = []
    rounds = 0

    async def other() -> None:
        nonlocal rounds
        while len(seen) < 10:
            rounds += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    async for part in in_turns(range(10), 3):
        seen += part
    await beside
    assert seen == list(range(10))
    assert rounds >= 3


async def test_nothing_has_no_turns() -> None:
    nothing: list[int] = []
    assert [part async for part in in_turns(nothing)] == []
