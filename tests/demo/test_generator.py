"""The simulated community: the same from one seed, valid to the letter, and shaped like those it was measured on."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log
from operator import length_hint
from statistics import mean, median, pstdev
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.generator import generate

END = datetime(2026, 11, 23, tzinfo=UTC)
CANONICAL = {
    "member.joined",
    "message.created",
    "message.edited",
    "question.asked",
    "answer.posted",
    "answer.accepted",
    "reaction.added",
    "checkin.submitted",
}
SAID = {"message.created", "question.asked", "answer.posted"}


def when(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])


@pytest.fixture(scope="module")
def large() -> list[dict[str, Any]]:
    return list(generate(7, 1000, 60, END))


def only(events: list[dict[str, Any]], *types: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] in types and not event["data"].get("bot")]


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    first = list(generate(1, 30, 10, END))
    assert first == list(generate(1, 30, 10, END))
    assert first != list(generate(2, 30, 10, END))


def test_it_says_beforehand_how_many_events_there_will_be() -> None:
    events = generate(1, 30, 10, END)
    assert length_hint(events) == len(list(events))


def test_events_are_made_one_by_one_and_not_all_at_once() -> None:
    assert next(generate(1, 50, 36_500, END))["specversion"] == "1.0"


@given(seed=st.integers(0, 2**32), members=st.integers(1, 25), days=st.integers(1, 12), minute=st.integers(0, 1439))
@settings(max_examples=40)
def test_every_event_is_a_valid_activity_inside_the_asked_days(seed: int, members: int, days: int, minute: int) -> None:
    end = END.astimezone(ZoneInfo("Asia/Shanghai")) + timedelta(minutes=minute)
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for event in generate(seed, members, days, end):
        assert event["specversion"] == "1.0"
        assert event["type"] in CANONICAL
        assert end - timedelta(days=days) <= when(event) < end
        assert event["data"]["actor"].startswith("demo:")
        assert all(value is not None for value in event["data"].values())
        assert ("subject" in event) == (event["type"] not in {"member.joined", "checkin.submitted"})
        assert seen.setdefault((event["source"], event["id"]), event) == event
    people = {event["data"]["actor"] for event in seen.values() if not event["data"].get("bot")}
    assert len(people) <= members


def test_events_arrive_in_the_order_of_their_time_but_for_those_sent_again(large: list[dict[str, Any]]) -> None:
    firsts: dict[str, str] = {}
    for event in large:
        firsts.setdefault(event["id"], event["time"])
    assert all(earlier <= later for earlier, later in pairwise(firsts.values()))
    assert 0.005 < 1 - len(firsts) / len(large) < 0.02


def test_what_follows_from_something_comes_after_it(large: list[dict[str, Any]]) -> None:
    said: dict[str, dict[str, Any]] = {}
    joined: set[str] = set()
    active: set[str] = set()
    for event in large:
        data = event["data"]
        if event["type"] == "member.joined":
            assert data["actor"] not in active - joined
            joined.add(data["actor"])
        active.add(data["actor"])
        if event["type"] in SAID:
            said.setdefault(event["subject"], event)
            assert data.get("reply_to") is None or data["reply_to"] in said
        if event["type"] in {"reaction.added", "answer.accepted", "message.edited"}:
            assert data["author"] == said[event["subject"]]["data"]["actor"]
        if event["type"] == "answer.accepted":
            assert data["actor"] == said[data["question"]]["data"]["actor"]


def test_nobody_reacts_to_a_bot_and_bots_do_nothing_but_talk(large: list[dict[str, Any]]) -> None:
    bots = {event["data"]["actor"] for event in large if event["data"].get("bot")}
    assert len(bots) == 4
    assert {event["type"] for event in large if event["data"]["actor"] in bots} == {"message.created"}
    assert not [event for event in large if event["data"].get("author") in bots]


def test_activity_is_as_uneven_as_in_a_real_chat(large: list[dict[str, Any]]) -> None:
    talk = sorted(Counter(event["data"]["actor"] for event in only(large, *SAID)).values(), reverse=True)
    assert 0.55 < sum(talk[: len(talk) // 10]) / sum(talk) < 0.80  # measured 0.67 to 0.72 in a month
    assert 1.4 < pstdev(map(log, talk)) < 2.0  # measured 1.55 to 1.76
    assert 5 <= median(talk) <= 15  # measured 8
    assert len(talk) > 900


def test_days_and_weeks_have_their_rhythm(large: list[dict[str, Any]]) -> None:
    said = only(large, *SAID)
    hours = Counter(when(event).hour for event in said)
    assert mean(hours[hour] for hour in range(14, 21)) > 2.5 * mean(hours[hour] for hour in range(2, 6))
    weekdays = Counter(when(event).weekday() for event in said)
    assert mean(weekdays[day] for day in (5, 6)) < 0.8 * mean(weekdays[day] for day in range(5))


def test_the_rhythm_follows_the_wall_clock_of_the_zone_asked_for() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    said = only(list(generate(7, 300, 30, END.astimezone(shanghai))), *SAID)
    hours = Counter(when(event).astimezone(shanghai).hour for event in said)
    assert mean(hours[hour] for hour in range(14, 21)) > 2.5 * mean(hours[hour] for hour in range(2, 6))


def test_newcomers_keep_arriving_and_most_are_seen_once(large: list[dict[str, Any]]) -> None:
    joins = {event["data"]["actor"]: when(event) for event in only(large, "member.joined")}
    assert 0.35 < len(joins) / 1000 < 0.45  # 1 - 1 / (1 + 0.34 * 2 months) = 0.40
    by_half = Counter(instant < END - timedelta(days=30) for instant in joins.values())
    assert 0.35 < by_half[True] / len(joins) < 0.65
    days = Counter(actor for actor, _ in {(e["data"]["actor"], e["time"][:10]) for e in only(large, *SAID)})
    assert 0.4 < mean(days[actor] <= 1 for actor in joins) < 0.75


def test_questions_are_answered_and_answers_accepted_after_a_while(large: list[dict[str, Any]]) -> None:
    asked = {event["subject"]: event for event in only(large, "question.asked")}
    answers = {event["subject"]: event for event in only(large, "answer.posted")}
    accepted = {event["subject"] for event in only(large, "answer.accepted")}
    assert 1.4 < len(answers) / len(asked) < 1.8  # measured 1.73, less what falls behind the end
    assert 0.5 < len(accepted) / len(asked) < 0.7  # measured 0.64
    waits = [(when(e) - when(asked[e["data"]["reply_to"]])).total_seconds() for e in answers.values()]
    assert 3 < median(waits) / 3600 < 12  # measured 6.8 hours
    assert accepted <= answers.keys()


def test_reactions_come_from_others_mostly_and_sometimes_twice(large: list[dict[str, Any]]) -> None:
    said = {event["subject"] for event in only(large, "message.created")}
    reactions = {e["id"]: e for e in only(large, "reaction.added") if e["subject"] in said}.values()
    assert 0.15 < len(reactions) / len(said) < 0.25  # measured 0.19 a message
    assert 0.02 < mean(e["data"]["actor"] == e["data"]["author"] for e in reactions) < 0.08
    pairs = Counter((e["data"]["actor"], e["subject"]) for e in reactions)
    assert 0.05 < mean(amount > 1 for amount in pairs.values()) < 0.2


def test_those_who_check_in_keep_at_it(large: list[dict[str, Any]]) -> None:
    days = {(e["data"]["actor"], when(e).date()) for e in only(large, "checkin.submitted")}
    went_on = mean((actor, day + timedelta(days=1)) in days for actor, day in days if day < END.date() - timedelta(2))
    assert 0.7 < went_on < 0.9  # measured 0.76
    people = {actor for actor, _ in days}
    assert 0.2 < len(people) / 1000 < 0.35


@pytest.mark.parametrize(
    ("members", "days", "end"),
    [(0, 1, END), (1, 0, END), (1, 1, datetime(2026, 11, 23))],  # noqa: DTZ001 - the point
)
def test_a_community_without_people_days_or_a_zone_is_refused(members: int, days: int, end: datetime) -> None:
    with pytest.raises(ValueError, match="needs"):
        list(generate(1, members, days, end))
