"""A community replayed through HTTP: post it as history, wait until it is counted, say what came of it."""

import asyncio
from collections.abc import Iterable
from operator import length_hint
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from demo.summary import Summary, print_summary, summarise
from services.events.importers import client
from services.events.importers.lines import Good, Line

POLL_SECONDS = 0.2
STORING = "guildhall.events:guildhall.activity"


class NotProcessed(Exception):
    """The platform did not get through what it had accepted; the message says what was still open."""


async def replay(
    base_url: str,
    api_key: str,
    source: Iterable[dict[str, Any]],
    *,
    name: str,
    batch: int = 100,
    console: Console | None = None,
    patience: float = 300.0,
) -> Summary:
    """Post the events as history of the import `name`, in order, and wait until all of them are stored and scored.

    Repeating it changes nothing. Raises client.ImportStopped when the platform does not take them, NotProcessed when
    it takes them and nothing moves for `patience` seconds. With a console it shows a progress bar and the summary.
    """
    headers = {"Authorization": f"Bearer {api_key}"}
    started = asyncio.get_running_loop().time()
    async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=60.0) as http:
        with _bar(console) as bar:
            posting = bar.add_task("posting", total=length_hint(source, 0) or None)
            lines: Iterable[Line] = (Good(number, event) for number, event in enumerate(source, 1))
            outcome = await client.post(
                http,
                api_key,
                lines,
                name=name,
                options=client.Options(batch=batch, patience=patience),
                on_progress=lambda progress: bar.update(posting, completed=progress.sent),
            )
            sent = outcome.progress
            bar.update(posting, total=sent.sent, completed=sent.sent)
            await _until_stored(http, name, sent.sent, bar, patience)
            await _until_scored(http, bar, patience)
        seconds = asyncio.get_running_loop().time() - started
        summary = await summarise(http, name=name, sent=sent.sent, rejected=sent.rejected, seconds=seconds)
    if console is not None:
        print_summary(console, summary)
    return summary


async def _until_stored(http: httpx2.AsyncClient, name: str, sent: int, bar: Progress, patience: float) -> None:
    """Until the events service has read all of it; what was sent twice is never counted as stored again."""
    task = bar.add_task("storing", total=sent)
    least, moved = -1, asyncio.get_running_loop().time()
    while True:
        behind = (await lags(http)).get(STORING, 0)
        bar.update(task, completed=min(await stored(http, name), sent))
        if behind == 0:
            bar.update(task, completed=sent)
            return
        moved = _still_moving(f"{behind} records are not stored yet", behind < least, moved, patience)
        least = behind
        await asyncio.sleep(POLL_SECONDS)


async def _until_scored(http: httpx2.AsyncClient, bar: Progress, patience: float) -> None:
    """Until no consumer of the platform has anything left to read, seen twice: one's work is another's input."""
    task = bar.add_task("scoring", total=None)
    least, moved, calm, most = -1, asyncio.get_running_loop().time(), 0, 0
    while calm < 2:
        lag = sum((await lags(http)).values())
        most = max(most, lag)
        bar.update(task, total=most or 1, completed=most - lag if most else 1)
        calm = calm + 1 if lag == 0 else 0
        moved = _still_moving(f"consumers are {lag} records behind", lag == 0 or lag < least, moved, patience)
        least = lag
        await asyncio.sleep(POLL_SECONDS)


def _still_moving(state: str, moves: bool, moved: float, patience: float) -> float:
    now = asyncio.get_running_loop().time()
    if moves:
        return now
    if now - moved > patience:
        raise NotProcessed(f"nothing has moved for {patience:.0f} s: {state}")
    return moved


async def lags(http: httpx2.AsyncClient) -> dict[str, int]:
    """Records each consumer has yet to read, by its group."""
    reply = await http.get("/readyz")
    return {
        check["name"].removeprefix("lag:"): int(check["detail"])
        for check in reply.json()["checks"]
        if check["name"].startswith("lag:")
    }


async def stored(http: httpx2.AsyncClient, name: str) -> int:
    """Events stored under the import `name`; 0 while the platform has not heard of it."""
    reply = await http.get(f"/v1/imports/{name}")
    if reply.status_code == 404:
        return 0
    reply.raise_for_status()
    return int(reply.json()["stored"])


def _bar(console: Console | None) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=console is None,
    )
