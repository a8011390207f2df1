"""Code words of the day: the same for who has the secret, none for who goes through them."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from kit.code_words import _WORDS, Language, code_word, code_words_in

PLACE = UUID(int=1)
DAY = date(2026, 11, 23)


def test_a_word_is_of_one_day_series_community_and_secret() -> None:
    word = code_word("s" * 40, PLACE, "daily", DAY, "en")
    assert word == code_word("s" * 40, PLACE, "daily", DAY, "en") == "ocean79"
    others = [
        code_word("s" * 40, PLACE, "daily", DAY + timedelta(days=1), "en"),
        code_word("s" * 40, PLACE, "gym", DAY, "en"),
        code_word("s" * 40, UUID(int=2), "daily", DAY, "en"),
        code_word("t" * 40, PLACE, "daily", DAY, "en"),
    ]
    assert len({word, *others}) == 5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_is_found_in_what_was_written(language: Language) -> None:
    assert len(set(_WORDS[language])) == 64
    for n in range(200):
        word = code_word("s" * 40, PLACE, "daily", DAY + timedelta(days=n), language)
        assert code_words_in(f"今天{word}，done!" if language == "zh" else f"done! {word}.") == {word}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Maple 47!", {"maple47"}),
        ("ＭＡＰＬＥ－４７", {"maple47"}),
        ("今天打卡松林47了", {"松林47"}),
        ("pineapple47", set()),
        ("maple477", set()),
        ("maple 10", set()),
        ("maple", set()),
        ("maple47 tiger22 olive33", {"maple47", "tiger22", "olive33"}),
        ("maple47 tiger22 olive33 lemon44", set()),
    ],
)
def test_what_reads_like_a_code_word_is_one_unless_there_are_too_many(text: str, words: set[str]) -> None:
    assert code_words_in(text) == words
