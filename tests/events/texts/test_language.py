"""The language of a message: never a wrong one among the samples, and most of them told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.texts.language import language
from tests.events.texts.samples import SAMPLES


def test_no_sample_is_taken_for_another_language_and_nine_in_ten_are_told() -> None:
    said = [(meant, language(text)) for meant, text in SAMPLES]
    assert [(meant, found) for meant, found in said if found not in (meant, None)] == []
    told = [found for meant, found in said if meant is not None]
    assert sum(found is not None for found in told) >= 0.9 * len(told)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("Danke! 这个很好用，大家都应该试试看", "zh"),
        ("今天读了《罪与罚》第一章 good good", "zh"),
        ("Thanks, I will read it tomorrow (お疲れ)", "en"),
        ("see https://example.com/что-это-такое for what this is about", "en"),
        ("永楽の湯", None),
        ("Қайырлы таң, бүгін не оқыдыңыз?", None),
        ("aaaa bbbb cccc dddd", None),
        ("the die de que", None),
    ],
)
def test_mixed_and_doubtful_messages(text: str, tag: str | None) -> None:
    assert language(text) == tag


@given(st.text(max_size=600))
def test_whatever_is_written_it_is_a_tag_or_nothing(text: str) -> None:
    assert (found := language(text)) is None or (2 <= len(found) <= 3 and found.isalpha())
