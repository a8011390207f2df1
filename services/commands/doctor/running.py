"""Checks run side by side, each within its time; whatever one of them does, the others are told of."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from services.commands.doctor.findings import Finding, State, failed

T = TypeVar("T")

GOING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """`look` finds one thing or several. Raising anything is a failed finding of this name, no more.

    Without what is `needed` nothing behind it in its chain can be looked at, and nothing is.
    """

    name: str
    look: Callable[[], Awaitable[Finding | list[Finding]]]
    seconds: float
    needed: bool = False


Chain = Sequence[Check]
"""One after the other."""


async def run_all(chains: Sequence[Chain]) -> tuple[list[Finding], bool]:
    """The findings in the order of the chains, and whether something that took too long is still under way."""
    waiting: list[asyncio.Future[object]] = []
    found = await asyncio.gather(*(_run(chain, waiting) for chain in chains))
    for late in waiting:
        late.cancel()
    hanging = False
    if waiting:
        _, left = await asyncio.wait(waiting, timeout=GOING_SECONDS)
        hanging = bool(left)
    return [finding for findings in found for finding in findings], hanging


async def _run(chain: Chain, waiting: list[asyncio.Future[object]]) -> list[Finding]:
    out: list[Finding] = []
    for check in chain:
        found = await _checked(check, waiting)
        out += found
        if check.needed and any(finding.state is State.FAILED for finding in found):
            break
    return out


async def _checked(check: Check, waiting: list[asyncio.Future[object]]) -> list[Finding]:
    task: asyncio.Future[object] = asyncio.ensure_future(check.look())
    # Not `wait_for`: that waits for what it cancelled, which may hang just as well.
    await asyncio.wait({task}, timeout=check.seconds)
    if not task.done():
        waiting.append(task)
        do = "find out what holds it up; or give it longer with --seconds"
        return [failed(check.name, f"no answer within {check.seconds:g} s", do)]
    error = task.exception() if not task.cancelled() else asyncio.CancelledError()
    if error is not None:
        told = " ".join(str(error).split())[:300]
        return [
            failed(check.name, f"the check itself failed: {type(error).__name__}: {told}", "tell us: this is a bug")
        ]
    result = task.result()
    return result if isinstance(result, list) else [result]  # type: ignore[list-item]  # a check finds nothing else


async def in_thread(work: Callable[[], T]) -> T:
    """The result of `work` from a thread that nobody waits for at the end: a file system that is away holds its
    callers for ever."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def run() -> None:
        try:
            settle = partial(done.set_result, work())
        except Exception as error:
            # Whatever it is, it is the waiting task's to deal with.
            settle = partial(done.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, settle)

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await done
