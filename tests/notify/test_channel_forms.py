"""Channels by themselves: what is asked, and what an answer means, whatever it is."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.outside import Answer
from services.notify.channels import channels, onebot, telegram
from services.notify.channels.form import Failed, Retry, Said, Sent, Unfit, Unknown
from services.notify.replies import BACKOFF_SECONDS, backoff


@given(st.sampled_from(sorted(channels())), st.integers(100, 599), st.binary(max_size=200) | st.from_regex(
    rb'\A\{"(ok|retcode|status|data|result|parameters)": ?(true|-?\d{1,4}|null|\{\}|\[\]|"x")\}\Z'
), st.booleans())  # fmt: skip
def test_whatever_is_answered_is_read_as_something(kind: str, status: int, body: bytes, whole: bool) -> None:
    outcome = channels()[kind].read(Answer(status, {"retry-after": "soon"}, body, whole))
    assert isinstance(outcome, Sent | Retry | Failed | Unknown)
    if status >= 300:
        assert not isinstance(outcome, Sent | Unknown)


@pytest.mark.parametrize("said", ["discord:5", "qq:abc", "qq:", "qq", "telegram:--5", "telegram:５"])
@pytest.mark.parametrize("kind", sorted(channels()))
def test_somebody_of_another_platform_cannot_be_told(kind: str, said: str) -> None:
    way = channels()[kind]
    settings = {"onebot": onebot.Settings("http://x"), "telegram": telegram.Settings()}[kind]
    with pytest.raises(Unfit):
        way.call(Said("hello", None, said, None), way.secrets(token="t"), settings)


def test_a_text_is_cut_to_what_telegram_takes_and_never_inside_a_character() -> None:
    assert telegram.fitting("x" * 4096) == "x" * 4096
    cut = telegram.fitting("x" + "😀" * 4000)
    assert len(cut.encode("utf-16-le")) // 2 <= 4096
    assert cut.endswith("😀…")


def test_a_delay_is_read_from_telegrams_body_else_from_the_header() -> None:
    body = b'{"ok": false, "parameters": {"retry_after": 7}}'
    assert telegram.read(Answer(429, {"retry-after": "9"}, body)) == Retry("too_many_requests", 7, True, False)
    assert telegram.read(Answer(429, {"retry-after": "9"}, b"")) == Retry("too_many_requests", 9, True, False)


@given(st.integers(1, 50), st.floats(0, 1))
def test_waiting_grows_by_the_table_and_is_spread_over_all_of_each_step(attempts: int, chance: float) -> None:
    step = BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS)) - 1]
    assert timedelta(0) <= backoff(attempts, chance) <= timedelta(seconds=step)
    assert timedelta(0) <= backoff(attempts) <= timedelta(seconds=step)
