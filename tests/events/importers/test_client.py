"""The posting client against a small platform that loses answers, refuses, limits and slows down on demand."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.importers import client
from services.events.importers.client import ImportStopped, Options, Outcome, Problem
from services.events.importers.lines import Good, Line, Wrong
from services.events.importers.resume import Position, ResumeFile, ResumeMismatch, default_path

Trouble = Callable[[int, list[Any]], httpx2.Response | Exception | None]


@dataclass
class Platform:
    """Takes events once each, in the order they come; `trouble(attempt, events)` may answer in its place."""

    trouble: Trouble = lambda attempt, events: None
    refuses: Callable[[Any], dict[str, Any] | None] = lambda event: None
    requests: list[httpx2.Request] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        events = json.loads(request.content)
        answer = self.trouble(len(self.requests), events)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        self.batches.append([event["id"] for event in events])
        results = []
        for index, event in enumerate(events):
            refusal = self.refuses(event)
            status = "rejected" if refusal else "accepted"
            if not refusal:
                self.stored.setdefault(event["id"], event)
            results.append({"index": index, "id": event["id"], "status": status, **(refusal or {})})
        return httpx2.Response(200, json={"batch_id": "b", "accepted": 0, "rejected": 0, "results": results})

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url="http://platform", transport=httpx2.MockTransport(self))


def line(number: int, actor: str | None = "a", size: int = 0) -> Good:
    data = {"text": "x" * size} if actor is None else {"actor": f"t:{actor}", "text": "x" * size}
    return Good(number, {"specversion": "1.0", "id": str(number), "source": "/s", "type": "t", "data": data})


def lines(count: int) -> Iterator[Line]:
    return (line(number, actor=str(number % 7)) for number in range(1, count + 1))


async def posted(platform: Platform, source: Any, **options: Any) -> Outcome:
    extra = {key: options.pop(key) for key in ("resume", "on_progress", "on_problem") if key in options}
    async with platform.http() as http:
        return await client.post(http, "gh_live_x", source, name="past", options=Options(**options), **extra)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT", 0.001)


async def test_one_lane_posts_the_lines_in_order_a_batch_at_a_time() -> None:
    platform = Platform()
    outcome = await posted(platform, lines(250), batch=100, lanes=1)
    assert [len(batch) for batch in platform.batches] == [100, 100, 50]
    assert [id for batch in platform.batches for id in batch] == [str(n) for n in range(1, 251)]
    assert (outcome.progress.accepted, outcome.progress.line) == (250, 250)


async def test_a_request_says_what_it_is_whose_it_is_and_that_it_is_history() -> None:
    platform = Platform()
    await posted(platform, lines(1))
    request = platform.requests[0]
    assert request.url.path == "/v1/events"
    assert request.headers["Content-Type"].startswith("application/cloudevents-batch+json")
    assert request.headers["Authorization"] == "Bearer gh_live_x"
    assert request.headers["Guildhall-Import"] == "past"


@given(st.lists(st.sampled_from("abcdef"), max_size=120), st.integers(1, 9), st.integers(1, 5))
@settings(max_examples=60)
def test_order_is_kept_per_member_and_every_line_arrives(actors: list[str], batch: int, lanes: int) -> None:
    platform = Platform()
    source = [line(number, actor) for number, actor in enumerate(actors, 1)]
    asyncio.run(posted(platform, source, batch=batch, lanes=lanes))
    for actor in set(actors):
        mine = [id for id, event in platform.stored.items() if event["data"]["actor"] == f"t:{actor}"]
        assert mine == [str(number) for number, one in enumerate(actors, 1) if one == actor]
    assert len(platform.stored) == len(actors)
    assert all(len(each) <= batch for each in platform.batches)
    assert platform.most_under_way <= lanes


async def test_lanes_are_posted_at_the_same_time() -> None:
    platform = Platform()
    await posted(platform, lines(400), batch=10, lanes=4)
    assert 1 < platform.most_under_way <= 4


async def test_a_batch_never_grows_beyond_what_a_request_may_hold() -> None:
    platform = Platform()
    await posted(platform, [line(n, size=60_000) for n in range(1, 41)], lanes=1)
    assert all(len(request.content) < 1024 * 1024 for request in platform.requests)
    assert len(platform.stored) == 40


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadError("reset"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("cut off"),
        httpx2.Response(429, headers={"Retry-After": "0"}),
        httpx2.Response(503, headers={"Retry-After": "0"}),
        httpx2.Response(502),
        httpx2.Response(500),
    ],
)
async def test_a_batch_without_an_answer_is_posted_again_until_it_has_one(failure: httpx2.Response | Exception) -> None:
    platform = Platform(trouble=lambda attempt, events: failure if attempt in (2, 3) else None)
    outcome = await posted(platform, lines(30), batch=10, lanes=1)
    assert [id for batch in platform.batches for id in batch] == [str(n) for n in range(1, 31)]
    assert (outcome.progress.accepted, outcome.progress.retries) == (30, 2)


async def test_an_answer_lost_on_the_way_back_does_no_harm() -> None:
    platform = Platform()

    def lose(attempt: int, events: list[Any]) -> Exception | None:
        if attempt != 1:
            return None
        platform.stored.update({event["id"]: event for event in events})
        return httpx2.ReadError("the answer is lost")

    platform.trouble = lose
    outcome = await posted(platform, lines(10), lanes=1)
    assert len(platform.stored) == outcome.progress.accepted == 10


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Mon, 23 Nov 2026 09:00:05 GMT", "Date": "Mon, 23 Nov 2026 09:00:00 GMT"}, 5.0),
        ({"Retry-After": "99999"}, 60.0),
    ],
)
async def test_the_platform_says_how_long_to_wait(
    headers: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def note(wait: float) -> None:
        waits.append(wait)

    platform = Platform(trouble=lambda attempt, _: httpx2.Response(429, headers=headers) if attempt == 1 else None)
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", note)
        await posted(platform, lines(1))
    assert seconds in waits


async def test_no_answer_for_too_long_stops_with_the_last_reason() -> None:
    platform = Platform(trouble=lambda attempt, events: httpx2.ConnectError("nobody there"))
    with pytest.raises(ImportStopped, match="nobody there"):
        await posted(platform, lines(500), patience=0.05)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 415, 302])
async def test_a_refusal_of_the_whole_import_stops_at_once(status: int) -> None:
    body = {"code": "forbidden", "title": "Forbidden", "detail": "the key lacks events:import"}
    platform = Platform(trouble=lambda attempt, events: httpx2.Response(status, json=body))
    with pytest.raises(ImportStopped, match="the key lacks events:import"):
        await posted(platform, lines(10), lanes=1)
    assert len(platform.requests) == 1


async def test_something_that_is_not_the_platform_is_recognised() -> None:
    platform = Platform(trouble=lambda attempt, events: httpx2.Response(200, text="<html>welcome</html>"))
    with pytest.raises(ImportStopped, match="not the platform"):
        await posted(platform, lines(3))
    platform.trouble = lambda attempt, events: httpx2.Response(200, json={"results": []})
    with pytest.raises(ImportStopped, match="not the platform"):
        await posted(platform, lines(3))


async def test_refused_items_are_reported_with_line_and_reason_and_the_rest_goes_on() -> None:
    error = {"code": "schema_violation", "pointer": "/data/length", "message": "expected integer"}
    platform = Platform(refuses=lambda e: {"retryable": False, "error": error} if e["id"] == "3" else None)
    seen: list[Problem] = []
    outcome = await posted(platform, [line(1), Wrong(2, "not JSON"), line(3), line(4)], on_problem=seen.append)
    assert set(outcome.problems) == {
        Problem(2, None, "wrong_line", "", "not JSON"),
        Problem(3, "3", "schema_violation", "/data/length", "expected integer"),
    }
    assert list(outcome.problems) == seen
    progress = outcome.progress
    assert (progress.accepted, progress.rejected, progress.wrong, progress.sent) == (2, 1, 1, 3)


async def test_retryable_items_are_posted_again_and_the_others_are_not() -> None:
    refusals = {"2": 2}

    def refuse(event: Any) -> dict[str, Any] | None:
        if refusals.get(event["id"], 0) == 0:
            return None
        refusals[event["id"]] -= 1
        return {"retryable": True, "error": {"code": "unavailable", "message": "later"}}

    platform = Platform(refuses=refuse)
    outcome = await posted(platform, lines(3), lanes=1)
    assert platform.batches == [["1", "2", "3"], ["2"], ["2"]]
    assert (outcome.progress.accepted, outcome.progress.rejected) == (3, 0)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_refused_for_one_item_is_halved_until_only_that_item_is_out(status: int) -> None:
    def choke(attempt: int, events: list[Any]) -> httpx2.Response | None:
        if any(event["id"] == "6" for event in events):
            return httpx2.Response(status, json={"code": "malformed", "detail": "cannot be read"})
        return None

    platform = Platform(trouble=choke)
    outcome = await posted(platform, lines(10), lanes=1)
    assert sorted(platform.stored, key=int) == ["1", "2", "3", "4", "5", "7", "8", "9", "10"]
    assert outcome.problems == (Problem(6, "6", "malformed", "", "cannot be read"),)


async def test_only_so_many_problems_are_kept_but_all_are_counted() -> None:
    outcome = await posted(Platform(), [Wrong(n, "bad") for n in range(1, 51)], keep_problems=10)
    assert len(outcome.problems) == 10
    assert outcome.progress.wrong == 50


def resume_file(path: Path, digest: str = "d1", name: str = "past") -> ResumeFile:
    return ResumeFile(path / "resume.json", name=name, digest=digest)


async def test_a_stopped_import_goes_on_behind_the_last_line_answered_for(tmp_path: Path) -> None:
    platform = Platform(trouble=lambda attempt, _: httpx2.ConnectError("gone") if attempt > 3 else None)
    with pytest.raises(ImportStopped):
        await posted(platform, lines(100), batch=10, lanes=1, patience=0.01, resume=resume_file(tmp_path))
    assert resume_file(tmp_path).load() == Position(line=30, accepted=30)
    platform.trouble = lambda attempt, events: None
    outcome = await posted(platform, lines(100), batch=10, lanes=1, resume=resume_file(tmp_path))
    assert [id for batch in platform.batches for id in batch] == [str(n) for n in range(1, 101)]
    assert (outcome.progress.line, outcome.progress.accepted) == (100, 100)


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 4), st.integers(1, 20))
@settings(max_examples=60)
def test_wherever_an_import_stops_every_line_is_in_the_platform_after_resuming(
    count: int, batch: int, lanes: int, stops_after: int
) -> None:
    saved: list[Position] = [Position()]

    class Remembered(ResumeFile):
        def load(self) -> Position:
            return saved[-1]

        def save(self, position: Position) -> None:
            saved.append(position)

    resume = Remembered(None, name="past", digest="d")
    platform = Platform(trouble=lambda attempt, _: httpx2.Response(403) if attempt == stops_after else None)
    for _ in range(2):
        try:
            asyncio.run(posted(platform, lines(count), batch=batch, lanes=lanes, resume=resume))
            break
        except ImportStopped:
            pass
    assert sorted(platform.stored, key=int) == [str(n) for n in range(1, count + 1)]
    assert saved == sorted(saved, key=lambda position: position.line)


def test_a_position_belongs_to_one_file_and_one_import(tmp_path: Path) -> None:
    resume_file(tmp_path).save(Position(10, 9, 1, 0))
    assert resume_file(tmp_path).load() == Position(10, 9, 1, 0)
    for other in (resume_file(tmp_path, digest="d2"), resume_file(tmp_path, name="other")):
        with pytest.raises(ResumeMismatch, match="remove it"):
            other.load()
    resume_file(tmp_path).forget()
    assert resume_file(tmp_path, digest="d2").load() == Position()


def test_a_damaged_resume_file_is_named_and_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "resume.json").write_text("{")
    with pytest.raises(ResumeMismatch, match=r"resume\.json"):
        resume_file(tmp_path).load()


def test_every_installation_and_import_remembers_its_own_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    paths = {default_path(url, name) for url in ("http://a", "http://b") for name in ("x", "../../y")}
    assert len(paths) == 4
    assert {path.parent for path in paths} == {Path("/state/guildhall/imports")}


def test_what_was_noted_behind_the_saved_position_is_noted_again(tmp_path: Path) -> None:
    kept = resume_file(tmp_path)
    before, behind = (Problem(n, None, "wrong_line", "", "not JSON") for n in (3, 9))
    kept.note([before])
    kept.note([behind])
    assert resume_file(tmp_path).problems(5) == [before]
    kept.note([behind])
    assert resume_file(tmp_path).problems(9) == [before, behind]


def test_a_note_that_a_crash_cut_is_none(tmp_path: Path) -> None:
    kept = resume_file(tmp_path)
    problem = Problem(3, None, "wrong_line", "", "not JSON")
    kept.note([problem, problem])
    assert kept.problems_path is not None
    kept.problems_path.write_bytes(kept.problems_path.read_bytes()[:-7])
    assert kept.problems(9) == [problem]
    assert kept.problems_path.read_bytes().endswith(b"\n")
    assert kept.problems(0) == []
