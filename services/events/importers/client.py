"""Posts history to a running platform through `POST /v1/events`, so that a person can stop it and start it again.

Every line is answered for: accepted by the platform, refused by it with a reason, or unusable as it stands. Order is
kept per member, because a member's lines travel in one lane, one batch after the other. Batches that got no answer
are posted again until `patience` seconds have passed without any; the platform collapses what it had already taken.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any
from zlib import crc32

import httpx2
import msgspec

from services.events.importers.lines import Event, Line, Wrong
from services.events.importers.resume import Position, Problem, ResumeFile

BATCH_TYPE = "application/cloudevents-batch+json"
MAX_BODY_BYTES = 900_000
"""A batch is cut below this; the platform's own limit (1 MiB unless set lower) is met by halving on 413."""

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_REFUSED_ALTOGETHER = frozenset({401, 403, 404, 405, 415})
_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_REQUESTED_WAIT = 0.1, 15.0, 60.0


class ImportStopped(Exception):
    """The import cannot go on: refused altogether, or no answer for too long. What was saved can be resumed."""


@dataclass(slots=True)
class Progress:
    """What has been answered for up to now. `line` is the line before which nothing is outstanding."""

    line: int = 0
    accepted: int = 0
    rejected: int = 0
    wrong: int = 0
    batches: int = 0
    retries: int = 0

    @property
    def sent(self) -> int:
        """Events the platform has answered for."""
        return self.accepted + self.rejected


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole import, what earlier runs came to included. `problems` holds the first `keep_problems` of them; the
    counts are of all."""

    progress: Progress
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """`batch` events a request at most, `lanes` requests at once, `patience` seconds without any answer."""

    batch: int = 100
    lanes: int = 4
    patience: float = 300.0
    keep_problems: int = 1000


@dataclass(frozen=True, slots=True)
class _Item:
    line: int
    event: Event
    body: bytes
    where: str = ""


@dataclass(slots=True)
class _Run:
    """One import under way."""

    http: httpx2.AsyncClient
    headers: dict[str, str]
    options: Options
    report: Callable[[Problem], None] | None
    progress: Progress = field(default_factory=Progress)
    problems: list[Problem] = field(default_factory=list)
    unsaved: list[Problem] = field(default_factory=list)
    answered_at: float = 0.0
    jitter: random.Random = field(default_factory=random.Random)

    def problem(self, problem: Problem) -> None:
        self.unsaved.append(problem)
        if len(self.problems) < self.options.keep_problems:
            self.problems.append(problem)
        if self.report is not None:
            self.report(problem)


async def post(
    http: httpx2.AsyncClient,
    api_key: str,
    lines: Iterable[Line],
    *,
    name: str,
    options: Options = Options(),
    resume: ResumeFile | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_problem: Callable[[Problem], None] | None = None,
) -> Outcome:
    """Post every line as history of the import `name`; `http` has the platform's address as its base URL.

    Safe to repeat, wholly or from `resume`. Raises ImportStopped; the position saved then holds.
    With one lane the batches are exactly the lines in order, `options.batch` at a time.
    """
    run = _Run(
        http=http,
        headers={
            "Authorization": f"Bearer {api_key}",
            "Content-Type": f"{BATCH_TYPE}; charset=utf-8",
            "Guildhall-Import": name,
        },
        options=options,
        report=on_problem,
        answered_at=asyncio.get_running_loop().time(),
    )
    progress = run.progress
    if resume is not None:
        start = resume.load()
        progress.line, progress.accepted = start.line, start.accepted
        progress.rejected, progress.wrong = start.rejected, start.wrong
        run.problems += resume.problems(start.line)[: options.keep_problems]
    behind = (line for line in lines if line.number > progress.line)
    # A window is answered for as a whole before the next begins: then one number says what is outstanding.
    while window := list(islice(behind, options.batch * options.lanes)):
        await _post_window(run, window)
        progress.line = window[-1].number
        found, run.unsaved = run.unsaved, []
        if resume is not None:
            resume.note(found)
            resume.save(Position(progress.line, progress.accepted, progress.rejected, progress.wrong))
        if on_progress is not None:
            on_progress(progress)
    return Outcome(progress, tuple(run.problems))


async def _post_window(run: _Run, window: Sequence[Line]) -> None:
    lanes: list[list[_Item]] = [[] for _ in range(run.options.lanes)]
    for line in window:
        if isinstance(line, Wrong):
            run.progress.wrong += 1
            run.problem(Problem(line.number, None, "wrong_line", "", line.reason, line.where))
        else:
            item = _Item(line.number, line.event, msgspec.json.encode(line.event), line.where)
            lanes[_lane(line.event, len(lanes))].append(item)
    try:
        async with asyncio.TaskGroup() as group:
            for items in lanes:
                group.create_task(_post_lane(run, items))
    except ExceptionGroup as several:
        # The first lane that gave up has cancelled the rest; its reason is the import's.
        raise several.exceptions[0] from several


def _lane(event: Event, lanes: int) -> int:
    """The lane of the member who acted; of the event's id where nobody is named, since then no order is promised."""
    data = event.get("data")
    actor = data.get("actor") if isinstance(data, dict) else None
    return crc32(str(actor or event.get("id")).encode()) % lanes


async def _post_lane(run: _Run, items: list[_Item]) -> None:
    for batch in _batches(items, run.options.batch):
        await _post_batch(run, batch)


def _batches(items: Sequence[_Item], most: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) == most or size + len(item.body) > MAX_BODY_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.body) + 1
    if batch:
        yield batch


async def _post_batch(run: _Run, batch: list[_Item]) -> None:
    """Post until every item is answered for. An item the platform calls retryable is posted again with its like."""
    attempt = 0
    while batch:
        response = await _attempt(run, batch)
        if isinstance(response, httpx2.Response) and response.status_code == 200:
            left = _take(run, batch, response)
            wait = None
        elif isinstance(response, httpx2.Response) and response.status_code not in _AGAIN:
            await _split_or_reject(run, batch, response)
            return
        else:
            left = batch
            wait = _retry_after(response) if isinstance(response, httpx2.Response) else None
        if left:
            if asyncio.get_running_loop().time() - run.answered_at > run.options.patience:
                raise ImportStopped(f"no answer for {run.options.patience:.0f} s; the last attempt: {_says(response)}")
            attempt = 0 if len(left) < len(batch) else attempt + 1
            run.progress.retries += 1
            await asyncio.sleep(wait if wait is not None else _backoff(run, attempt))
        batch = left


async def _attempt(run: _Run, batch: list[_Item]) -> httpx2.Response | httpx2.TransportError:
    body = b"[" + b",".join(item.body for item in batch) + b"]"
    run.progress.batches += 1
    try:
        return await run.http.post("/v1/events", content=body, headers=run.headers)
    except httpx2.TransportError as error:
        return error


def _take(run: _Run, batch: list[_Item], response: httpx2.Response) -> list[_Item]:
    """Count the answers of a batch; gives back the items to post again."""
    results = _results(response)
    if len(results) != len(batch):
        raise ImportStopped(f"{len(batch)} events were posted and {len(results)} answered: this is not the platform")
    left: list[_Item] = []
    for item, result in zip(batch, results, strict=True):
        if result.get("status") != "rejected":
            run.progress.accepted += 1
        elif result.get("retryable"):
            left.append(item)
        else:
            error = result.get("error") or {}
            _reject(run, item, error.get("code"), error.get("pointer"), error.get("message"))
    if len(left) < len(batch):
        run.answered_at = asyncio.get_running_loop().time()
    return left


async def _split_or_reject(run: _Run, batch: list[_Item], response: httpx2.Response) -> None:
    """The request was refused as a whole: find the item that is to blame by halves, or stop if it is not the items."""
    if response.status_code in _REFUSED_ALTOGETHER or response.is_redirect:
        raise ImportStopped(f"the platform refuses this import: {_says(response)}")
    run.answered_at = asyncio.get_running_loop().time()
    if len(batch) == 1:
        problem = _problem_of(response)
        _reject(run, batch[0], problem.get("code"), "", problem.get("detail") or problem.get("title"))
        return
    middle = len(batch) // 2
    await _post_batch(run, batch[:middle])
    await _post_batch(run, batch[middle:])


def _reject(run: _Run, item: _Item, code: Any, pointer: Any, message: Any) -> None:
    run.progress.rejected += 1
    run.problem(
        Problem(
            line=item.line,
            id=str(item.event.get("id")),
            code=str(code or "rejected"),
            pointer=str(pointer or ""),
            message=str(message or ""),
            where=item.where,
        )
    )


def _results(response: httpx2.Response) -> list[dict[str, Any]]:
    try:
        results = msgspec.json.decode(response.content)["results"]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ImportStopped(f"the answer is not the platform's: {response.text[:200]!r}") from error
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise ImportStopped(f"the answer is not the platform's: {response.text[:200]!r}")
    return results


def _problem_of(response: httpx2.Response) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return {"code": f"http_{response.status_code}", "detail": response.text[:200]}
    return problem if isinstance(problem, dict) else {}


def _says(response: httpx2.Response | httpx2.TransportError) -> str:
    if isinstance(response, httpx2.TransportError):
        return f"{type(response).__name__}: {response}"
    problem = _problem_of(response)
    return f"{response.status_code} {problem.get('code', '')}: {problem.get('detail') or problem.get('title') or ''}"


def _backoff(run: _Run, attempt: int) -> float:
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 16))
    return longest * run.jitter.uniform(0.5, 1.0)


def _retry_after(response: httpx2.Response) -> float | None:
    """`Retry-After` in seconds, None without a usable one. A date is read by the platform's own clock (`Date`)."""
    value = response.headers.get("Retry-After", "")
    try:
        if value.isdigit():
            return min(float(value), _LONGEST_REQUESTED_WAIT)
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, min((until - now).total_seconds(), _LONGEST_REQUESTED_WAIT))
    except (ValueError, TypeError):
        return None
