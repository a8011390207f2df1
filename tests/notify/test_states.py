"""States of messages: steps forward only, whoever asks; and the resolution that leads to the first one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.database import Tx
from kit.errors import Conflict
from services.notify import domain
from services.notify.domain import LEGAL, STATES, Recipient, locale_chain, may_move, resolve
from services.notify.handlers import sending
from services.notify.store import messages as store
from tests.notify.support import Notify

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
FINAL = ("delivered", "undelivered", "bounced", "not_sent", "expired", "cancelled")
times = st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(lambda d: NOW + d)


def test_every_legal_step_leads_to_a_known_state_and_final_states_stay() -> None:
    assert {t for targets in LEGAL.values() for t in targets} | set(LEGAL) == set(STATES)
    assert {s for s in STATES if not LEGAL.get(s)} == set(FINAL)


@given(st.sampled_from(STATES), st.data())
def test_no_road_of_legal_steps_comes_back_to_where_it_was(state: str, data: st.DataObject) -> None:
    seen = [state]
    while following := LEGAL.get(seen[-1], ()):
        seen.append(data.draw(st.sampled_from(following)))
        assert seen[-1] not in seen[:-1]


@given(st.sampled_from(STATES), st.sampled_from(STATES))
def test_a_step_is_legal_in_one_direction_at_most(one: str, other: str) -> None:
    assert not (may_move(one, other) and may_move(other, one))


@given(st.sampled_from([None, *sorted(domain.GONE), "active", "observed"]), st.booleans(), times, times)
def test_a_resolution_ends_in_a_state_with_a_reason_unless_it_goes_now(
    state: str | None, bot: bool, not_before: datetime | None, expires_at: datetime | None
) -> None:
    out = resolve(Recipient(state, "bot" if bot else "person"), now=NOW, not_before=not_before, expires_at=expires_at)
    assert out.steps[-1].verdict == out.state
    assert (out.reason is None) == (out.state == "delivered")
    if bot or state in domain.GONE:
        assert out.state == "not_sent"
    elif expires_at is not None and expires_at <= NOW:
        assert out.state == "expired"
    else:
        assert out.state == ("held" if not_before is not None and not_before > NOW else "delivered")


@given(st.sampled_from(["active", *sorted(domain.GONE)]), times, times)
def test_what_was_held_moves_legally_whatever_became_of_the_member(
    state: str, not_before: datetime | None, expires_at: datetime | None
) -> None:
    out = resolve(Recipient(state, "person"), now=NOW, not_before=not_before, expires_at=expires_at)
    assert out.state == "held" or may_move("held", out.state)


async def _standing(tx: Tx, notify: Notify, message: Any, state: str) -> dict[str, Any]:
    """The message, put into `state` whatever the rules say."""
    await store.set_state(tx, message_id=message.id, state=state, reason=None, steps=[])
    row = await store.lock(tx, community_id=notify.place.id, message_id=message.id)
    assert row is not None
    return dict(row._mapping)


async def test_no_other_step_than_a_legal_one_is_ever_written(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.place.send(ann, not_before="2026-12-01T00:00:00Z")
    [message] = await notify.rows("messages")
    for before in STATES:
        for after in STATES:
            async with notify.db.begin() as tx:
                row = await _standing(tx, notify, message, before)
                if may_move(before, after):
                    await sending.move(tx, row, after, None, [])
                else:
                    with pytest.raises(Conflict):
                        await sending.move(tx, row, after, None, [])
            [kept] = await notify.rows("messages")
            assert kept.state == (after if may_move(before, after) else before)


@pytest.mark.parametrize(
    ("wanted", "available", "chain"),
    [
        ("zh-Hant-TW", ["en", "zh", "zh-CN", "zh-Hant"], ["zh-Hant", "zh", "zh-CN", "en"]),
        ("zh-Hant-TW", ["en", "zh-CN"], ["zh-CN", "en"]),
        ("zh-cn", ["en", "zh-CN"], ["zh-CN", "en"]),
        ("zh_CN", ["en", "zh-CN"], ["zh-CN", "en"]),
        ("fr", ["en", "zh-CN"], ["en", "zh-CN"]),
        ("fr", ["de", "zh-CN"], ["de", "zh-CN"]),
        ("en-GB", ["en", "zh-CN"], ["en", "zh-CN"]),
        ("en", ["de", "en-US"], ["en-US", "de"]),
    ],
)
def test_languages_are_tried_from_the_asked_one_to_any(wanted: str, available: list[str], chain: list[str]) -> None:
    assert locale_chain(wanted, available) == chain


@given(st.from_regex(r"[a-z]{2}(-[A-Za-z]{2,4}){0,2}", fullmatch=True), st.sets(st.sampled_from(["en", "de", "zh-CN"])))
def test_whatever_is_asked_for_every_language_there_is_comes_up_once(wanted: str, available: set[str]) -> None:
    assert sorted(locale_chain(wanted, available)) == sorted(available)


@pytest.mark.parametrize(
    "value",
    ["a\0b", {"x": ["\ud800"]}, {"a\0": 1}, 2**63, -(2**63) - 1, float("nan"), float("inf"), {"a": {"b": "\0"}}],
)
def test_what_no_database_keeps_is_told_from_what_it_does(value: Any) -> None:
    assert domain.unstorable(value) is not None
    assert domain.unstorable({"deep": [[[[value]]]]}) is not None


def test_nesting_without_end_is_no_value_and_ordinary_values_are() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    assert domain.unstorable(deep) is not None
    assert domain.unstorable({"a": [1, -1.5, True, None, "打卡 😀", {"b": 2**63 - 1}]}) is None
