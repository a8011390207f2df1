"""How long the client may take: its own answers are "for ever" in several places."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from kit.log import LogUnavailable

logger = structlog.get_logger(__name__)
T = TypeVar("T")

APPEND_SECONDS = 15.0
CALL_SECONDS = 10.0
START_SECONDS = 30.0
STOP_SECONDS = 5.0
FINISH_SECONDS = 5.0
SILENT_SECONDS = 20.0
# Reading waits while the group divides its partitions anew, which takes 15 s at most; beyond that it waits for ever.
FETCH_SECONDS = 30.0


async def bounded(call: Awaitable[T], seconds: float, what: str) -> T:
    """The result, or LogUnavailable: an idempotent producer and a consumer without coordinator may wait for ever.

    RuntimeError is what the event loop's transports raise when they are closed; the client lets it through.
    """
    try:
        return await asyncio.wait_for(call, seconds)
    except (KafkaError, OSError, RuntimeError) as error:
        if isinstance(error, TimeoutError):
            raise LogUnavailable(f"{what}: no answer within {seconds:g} s") from error
        raise LogUnavailable(f"{what}: {error!r}") from error
    except asyncio.CancelledError as error:
        if _asked_to_end():
            raise
        # A task inside the client was cancelled and its end let out: it would end whoever asked, without a word.
        raise LogUnavailable(f"{what}: the client cancelled itself") from error


def _asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def stopped(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop within bounds: a client whose broker or group is gone may hang in its own stop.

    In a task of its own: it cancels what it has under way and may let that cancellation out, which in ours would end
    whoever wanted a new client, without a word.
    """
    stopping = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        if not stopping.done():
            logger.warning("kafka.stop_cut_short", error=f"no end within {STOP_SECONDS:g} s")
        elif stopping.cancelled():
            logger.warning("kafka.stop_cut_short", error="the client cancelled its own stop")
        elif stopping.exception() is not None:
            logger.warning("kafka.stop_cut_short", error=repr(stopping.exception()))
    finally:
        stopping.cancel()
