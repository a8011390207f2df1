"""The state machine of M1 and what a chat platform's word does to it; pure rules, no database."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.members import domain
from services.members.domain import LEGAL, STATES, Member, Membership

START = datetime(2026, 11, 1, tzinfo=UTC)

# What a platform may truthfully say next, given what it said last.
NEXT_WORD = {
    None: ("member.joined", "member.banned"),
    "member.joined": ("member.left", "member.kicked", "member.banned"),
    "member.left": ("member.joined", "member.banned"),
    "member.kicked": ("member.joined", "member.banned"),
    "member.banned": ("member.unbanned",),
    "member.unbanned": ("member.joined", "member.banned"),
}


def said(word: str, minutes: int) -> Membership:
    at = START + timedelta(minutes=minutes)
    return Membership(domain.MEMBERSHIP_EVENTS[word], at, word, UUID(int=3))


def member(state: str, *, settled_at: datetime | None = None, held: bool = False) -> Member:
    return Member(
        community_id=UUID(int=1),
        id=UUID(int=2),
        version=1,
        display_name="Ada",
        state=state,
        state_at=START,
        settled_at=settled_at,
        held=held,
        kind="person",
        locale=None,
        zone=None,
        created_at=START,
        changed_at=START,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Membership]:
    words: list[str] = []
    for _ in range(draw(st.integers(1, 7))):
        words.append(draw(st.sampled_from(NEXT_WORD[words[-1] if words else None])))
    return [said(word, minutes) for minutes, word in enumerate(words)]


def test_every_legal_step_leads_to_a_known_state() -> None:
    assert set(LEGAL) == set(STATES)
    assert {target for targets in LEGAL.values() for target in targets} <= set(STATES)


def test_nothing_leads_to_the_same_state_and_nothing_leaves_erased() -> None:
    assert all(state not in targets for state, targets in LEGAL.items())
    assert LEGAL["erased"] == ()


def test_every_state_but_erased_can_be_erased_and_every_state_can_be_reached() -> None:
    assert all("erased" in targets for state, targets in LEGAL.items() if state != "erased")
    reached = {"observed"}
    while more := {t for s in reached for t in LEGAL[s]} - reached:
        reached |= more
    assert reached == set(STATES)


@pytest.mark.parametrize(
    "path",
    [
        ("observed", "applied", "waitlisted", "approved", "onboarding", "active", "cooling", "dormant", "left"),
        ("observed", "applied", "rejected"),
        ("observed", "active", "removed"),
        ("active", "banned", "erased"),
    ],
)
def test_the_roads_of_the_requirements_are_legal(path: tuple[str, ...]) -> None:
    assert all(domain.may_move(a, b) for a, b in pairwise(path))


@given(
    st.sampled_from(STATES),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(sorted(domain.MEMBERSHIP_EVENTS)), st.integers(-9, 9))),
)
def test_a_platforms_word_only_ever_makes_legal_steps_forward_in_time(
    state: str, held: bool, words: list[tuple[str, int]]
) -> None:
    at = START
    for came_from, cause in domain.fold(member(state, settled_at=START, held=held), [said(w, m) for w, m in words])[1]:
        assert came_from == state
        assert domain.may_move(state, cause.state)
        assert cause.effective_at >= at
        state, at = cause.state, cause.effective_at


@given(histories(), st.data())
def test_the_order_of_arrival_and_the_batches_do_not_change_where_a_member_ends(
    history: list[Membership], data: st.DataObject
) -> None:
    arrival = data.draw(st.permutations(history))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(history)), max_size=3)) | {0, len(history)})
    someone = member("observed")
    for first, after in pairwise(cuts):
        someone, _ = domain.fold(someone, arrival[first:after])
    assert someone.state == history[-1].state


@given(histories())
def test_hearing_of_the_past_again_moves_nobody(history: list[Membership]) -> None:
    someone, moves = domain.fold(member("observed"), history)
    assert [m.state for _, m in moves] == [h.state for h in history]
    assert domain.fold(someone, history[:-1]) == (someone, [])


@pytest.mark.parametrize("state", ["applied", "waitlisted", "rejected"])
@pytest.mark.parametrize("word", ["member.joined", "member.unbanned"])
def test_being_seen_to_join_does_not_let_an_applicant_through_the_gate(state: str, word: str) -> None:
    assert domain.fold(member(state), [said(word, 1)])[1] == []


@pytest.mark.parametrize("state", ["onboarding", "active", "cooling", "dormant"])
def test_who_is_inside_already_keeps_the_state_when_seen_to_join(state: str) -> None:
    assert domain.fold(member(state), [said("member.joined", 1)])[1] == []


@given(st.sampled_from(sorted(domain.MEMBERSHIP_EVENTS)))
def test_no_platform_lifts_the_ban_of_a_person_or_brings_back_the_erased(word: str) -> None:
    banned = domain.by_person(member("active"), "banned", START)
    assert domain.fold(banned, [said(word, 1)])[1] == []
    assert domain.fold(member("erased"), [said(word, 1)])[1] == []


def test_who_a_platform_banned_may_come_back_by_the_platforms_door() -> None:
    banned, _ = domain.fold(member("active"), [said("member.banned", 1)])
    assert domain.fold(banned, [said("member.joined", 2)])[0].state == "active"


def test_an_observed_member_is_moved_by_news_of_before_it_was_seen() -> None:
    assert domain.fold(member("observed"), [said("member.joined", -500)])[0].state == "active"


@pytest.mark.parametrize(
    ("word", "scope", "counts"),
    [
        ("member.joined", "channel", True),
        ("member.left", "channel", False),
        ("member.left", None, True),
        ("member.left", "community", True),
        ("member.left", ["no", "text"], True),
    ],
)
def test_leaving_one_channel_of_many_is_not_leaving_the_community(word: str, scope: object, counts: bool) -> None:
    assert domain.about_community(word, scope) is counts


@given(st.integers(0, 1439))
def test_a_day_start_reads_back_as_it_was_written(minutes: int) -> None:
    assert domain.day_start_minutes(domain.day_start_text(minutes)) == minutes


@pytest.mark.parametrize("text", ["24:00", "4:00", "04:60", "0400", "", "aa:bb", "04:00 ", "٠٤:٠٠"])
def test_a_day_start_that_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        domain.day_start_minutes(text)


@pytest.mark.parametrize(
    ("platform", "external_id"),
    [
        ("member", "x"),
        ("QQ", "1"),
        ("", "1"),
        ("qq", ""),
        ("qq", "a\x00b"),
        ("q q", "1"),
        ("qq:x", "1"),
        ("qq", "x" * 251),
    ],
)
def test_parts_that_make_no_identity_are_refused(platform: str, external_id: str) -> None:
    with pytest.raises(ValueError):
        domain.identity_of(platform, external_id)


def test_an_external_id_may_contain_colons_and_slashes() -> None:
    assert domain.identity_of("matrix", "@a:example/1") == "matrix:@a:example/1"


@pytest.mark.parametrize("typed", ["abcd2345", " ABCD-2345 ", "ABCD 2345"])
def test_a_code_is_understood_however_it_is_typed(typed: str) -> None:
    assert domain.clean_code(typed) == "ABCD2345"


@pytest.mark.parametrize("typed", ["", "ABCD234", "ABCD23456", "ABCD234O", "ABCD234\n", "ＡＢＣＤ２３４５"])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert domain.clean_code(typed) is None
