"""The oracle on examples small enough to work out by hand; the sums stand in the comments."""

import random
from itertools import count
from typing import Any

import pytest

from tests.support.oracle import score

_ids = count(1)


def did(type: str, actor: str | None = "ann", day: str = "2026-11-23", at: str = "12:00:00Z", **more: Any) -> Any:
    subject = more.pop("subject", None)
    id = more.pop("id", None) or f"e{next(_ids)}"
    data = {**({"actor": actor} if actor else {}), **more}
    event = {"id": id, "source": "/bots/x", "type": type, "time": f"{day}T{at}", "data": data}
    return {**event, "subject": subject} if subject else event


def test_each_rule_pays_its_amount_to_the_one_it_is_meant_for() -> None:
    answer = score(
        [
            did("checkin.submitted"),  # ann 10
            did("message.created"),  # ann 1
            did("question.asked"),  # ann 5
            did("answer.posted"),  # ann 8
            did("invite.qualified"),  # ann 20
            did("event.attended"),  # ann 15
            did("onboarding.finished"),  # ann 20                          10+1+5+8+20+15+20 = 79
            did("reaction.added", author="bob", subject="p1"),  # bob 2
            did("answer.accepted", author="bob", subject="p1"),  # bob 30
            did("content.accepted", author="bob", subject="p1"),  # bob 25           2+30+25 = 57
            did("file.uploaded"),  # no rule
        ]
    )
    assert answer.balances == {"ann": 79, "bob": 57}
    assert (answer.events, answer.grants, answer.total) == (11, 10, 136)
    assert answer.per_rule["accepted-answer"] == 30
    assert answer.contribution == {"ann": 8 + 20 + 15, "bob": 30 + 25}


@pytest.mark.parametrize(
    ("type", "times", "worth"),
    [
        ("checkin.submitted", 3, 10),  # one a day
        ("message.created", 14, 10),  # 14 × 1, most 10
        ("question.asked", 4, 15),  # 4 × 5 = 20, most 15
        ("answer.posted", 7, 40),  # 7 × 8 = 56, most 40
        ("event.attended", 3, 30),  # 3 × 15 = 45, most 30
        ("invite.qualified", 12, 200),  # 12 × 20 = 240, most 200 a month
        ("onboarding.finished", 2, 20),  # once in a life
    ],
)
def test_caps_hold(type: str, times: int, worth: int) -> None:
    assert score([did(type) for _ in range(times)]).balances["ann"] == worth


def test_daily_caps_begin_anew_with_the_local_day_and_life_caps_never() -> None:
    days = ["2026-11-23", "2026-11-24"]
    events = [did(type, day=day) for day in days for type in ("checkin.submitted", "onboarding.finished")]
    assert score(events).balances["ann"] == 10 + 10 + 20


def test_the_month_of_a_cap_is_the_local_one() -> None:
    events = [did("invite.qualified", day="2026-11-30", at="23:30:00Z") for _ in range(12)]
    events += [did("invite.qualified", day="2026-11-30", at="12:00:00Z") for _ in range(12)]
    assert score(events).total == 200  # all in November in UTC
    assert score(events, zone="Asia/Shanghai").total == 400  # 23:30Z is already December there


def test_the_day_starts_where_the_community_says() -> None:
    events = [did("checkin.submitted", at="02:59:00Z"), did("checkin.submitted", at="03:00:00Z")]
    assert score(events).total == 10
    late = score(events, day_start=180)  # 02:59 still belongs to the 22nd
    assert late.total == 20
    assert late.board("day", "2026-11-22") == {"ann": (1, 10)}


def test_one_person_counts_once_for_one_object_and_somebody_unknown_always() -> None:
    reacted = [did("reaction.added", actor="ann", author="bob", subject="p1", kind=kind) for kind in ("+1", "heart")]
    assert score(reacted).balances == {"bob": 2}
    unknown = [did("reaction.added", actor=None, author="bob", subject="p1") for _ in range(3)]
    assert score(unknown).balances == {"bob": 6}  # 3 × 2
    assert score(unknown * 1 + reacted).balances == {"bob": 8}  # 3 × 2 + 2


def test_reactions_to_one_member_stop_counting_at_twenty_a_day() -> None:
    events = [did("reaction.added", actor=f"a{n}", author="bob", subject=f"p{n}") for n in range(13)]
    assert score(events).total == 20  # 13 × 2 = 26


def test_a_reaction_that_earned_nothing_does_not_use_the_object_up() -> None:
    first_day = [did("reaction.added", actor=f"a{n}", author="bob", subject=f"p{n}") for n in range(11)]
    again = did("reaction.added", actor="a10", author="bob", subject="p10", day="2026-11-24")
    assert score([*first_day, again]).total == 22  # 10 × 2, the eleventh capped; next day 2


def test_downvotes_bots_and_what_is_ones_own_earn_nothing() -> None:
    events = [
        did("reaction.added", author="bob", subject="p1", kind="downvote"),
        did("message.created", actor="robo", bot=True),
        did("reaction.added", actor="bob", author="bob", subject="p1"),
        did("answer.accepted", actor="bob", author="bob", subject="p1"),
        did("message.created", actor=None),
        did("reaction.added", actor="ann", subject="p1"),
    ]
    assert score(events).balances == {}


def test_an_answer_is_accepted_once_whoever_says_so() -> None:
    events = [did("answer.accepted", actor=actor, author="bob", subject="p1") for actor in ("ann", "cid", None)]
    assert score(events).total == 30


def test_the_same_source_and_id_is_one_event() -> None:
    assert score([did("message.created", id="same") for _ in range(5)]).total == 1
    other = {**did("message.created", id="same"), "source": "/bots/y"}
    assert score([did("message.created", id="same"), other]).total == 2


def test_levels_begin_at_fifty_n_times_n_less_one() -> None:
    begins = {0: 1, 99: 1, 100: 2, 299: 2, 300: 3, 599: 3, 600: 4, 5500: 11}
    answer = score([])
    for xp, level in begins.items():
        answer.balances["ann"] = xp
        assert answer.level("ann") == level


def test_boards_rank_as_in_a_competition_in_each_period() -> None:
    events = [
        did("event.attended", actor="ann", day="2026-11-22"),  # Sunday of W47: ann 15
        did("answer.posted", actor="bob", day="2026-11-23"),  # Monday of W48: bob 8
        did("answer.posted", actor="cid", day="2026-11-23"),  # cid 8
        did("message.created", actor="dan", day="2026-12-01"),  # Tuesday of W49: dan 1
    ]
    answer = score(events)
    assert answer.board("all", "all") == {"ann": (1, 15), "bob": (2, 8), "cid": (2, 8), "dan": (4, 1)}
    assert answer.board("month", "2026-11") == {"ann": (1, 15), "bob": (2, 8), "cid": (2, 8)}
    assert answer.board("week", "2026-W47") == {"ann": (1, 15)}
    assert answer.board("week", "2026-W48") == {"bob": (1, 8), "cid": (1, 8)}
    assert answer.board("day", "2026-12-01") == {"dan": (1, 1)}
    assert answer.board("day", "2026-12-02") == {}


def test_the_first_days_of_january_can_belong_to_the_last_week_of_the_old_year() -> None:
    assert score([did("message.created", day="2027-01-01")]).board("week", "2026-W53") == {"ann": (1, 1)}


def test_sums_do_not_depend_on_the_order_of_events() -> None:
    events = [did("message.created", actor=f"a{n % 3}", day=f"2026-11-{1 + n % 5:02d}") for n in range(300)]
    events += [did("reaction.added", actor=f"r{n}", author=f"a{n % 3}", subject=f"p{n}") for n in range(60)]
    straight = score(events)
    random.Random(7).shuffle(events)
    assert score(events) == straight
