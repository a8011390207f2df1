"""One import as a person starts it: a file, an address, a key; progress on the console, resume after a stop."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from services.events.importers import client
from services.events.importers.choices import Choices
from services.events.importers.formats import NO_CHOICES, count, detect, read
from services.events.importers.lines import digest_of
from services.events.importers.resume import Problem, ResumeFile, default_path

_SHOWN = 20
"""Problems printed one by one; the platform's `GET /v1/imports/{name}` knows those it refused."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the file's lines: `accepted + rejected + wrong_lines` is all of them that are not blank."""

    accepted: int
    rejected: int
    wrong_lines: int
    problems: tuple[Problem, ...]
    problems_path: Path | None


async def run_import(
    path: Path,
    *,
    url: str,
    key: str,
    name: str,
    format: str = "auto",
    batch: int = 100,
    lanes: int = 4,
    patience: float = 300.0,
    resume_path: Path | None = None,
    choices: Choices = NO_CHOICES,
    console: Console | None = None,
) -> Report:
    """Post the file as history of the import `name`, going on where an earlier run of the same stopped.

    Raises client.ImportStopped (what is saved can be resumed), resume.ResumeMismatch, ValueError for a format that is
    unknown or not recognised and for choices that do not fit it, OSError for a file that cannot be read.
    """
    if console is not None:
        console.print(f"counting {path.name}", markup=False)
    known = await asyncio.to_thread(detect, path, choices) if format == "auto" else format
    total = await asyncio.to_thread(count, path, known, choices)
    digest = await asyncio.to_thread(digest_of, path, *choices.settings())
    resume = ResumeFile(resume_path or default_path(url, name), name=name, digest=digest)
    options = client.Options(batch=batch, lanes=lanes, patience=patience)
    async with httpx2.AsyncClient(base_url=url, timeout=60.0) as http:
        if resume.load().line and not await _is_known(http, key, name):
            resume.forget()
        with progress_bar(console) as bar:
            task = bar.add_task(f"importing {path.name}", total=total)
            outcome = await client.post(
                http,
                key,
                read(path, known, choices),
                name=name,
                options=options,
                resume=resume,
                on_progress=lambda done: bar.update(task, completed=done.sent + done.wrong),
            )
    resume.forget()
    done = outcome.progress
    report = Report(done.accepted, done.rejected, done.wrong, outcome.problems, resume.problems_path)
    if console is not None:
        _print(console, report)
    return report


async def _is_known(http: httpx2.AsyncClient, key: str, name: str) -> bool:
    """Whether the platform has ever heard of this import. One that has not was emptied or is another installation:
    there a saved position would leave out what it never got."""
    try:
        reply = await http.get(f"/v1/imports/{name}", headers={"Authorization": f"Bearer {key}"})
    except httpx2.TransportError:
        return True
    return reply.status_code != 404


def progress_bar(console: Console | None) -> Progress:
    """A bar that counts events; shows nothing without a console."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
    )


def _print(console: Console, report: Report) -> None:
    console.print(f"{report.accepted} accepted, {report.rejected} refused, {report.wrong_lines} lines not usable")
    for problem in report.problems[:_SHOWN]:
        where = f" at {problem.pointer}" if problem.pointer else ""
        place = problem.where or f"line {problem.line}"
        console.print(f"  {place}: {problem.code}{where}: {problem.message}", markup=False)
    if len(report.problems) > _SHOWN:
        more = report.rejected + report.wrong_lines - _SHOWN
        console.print(f"  … and {more} more; all of them: {report.problems_path}", markup=False, soft_wrap=True)
