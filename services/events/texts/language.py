"""The language of a message, where it can be told: by script, and by letters and small words where several share one.

Unknown is better than wrong: what people write in chats is short, full of names, links and emoticons. Nothing here is
a promise about a single message; it is meant for "which languages are spoken in this group".
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from services.events.texts.words import CYRILLIC, LATIN

MOST_READ = 400
"""Characters that are looked at; more of them decide nothing."""

_LEAST = 4
"""Letters of a script without which it says nothing."""

# The high byte of UTF-16 tells the script of nearly every letter, and asking for it so takes a few steps in C for a
# whole text. Small letters are scripts; `.` are punctuation, digits of other scripts, symbols, halves of emoticons.
_PAGES = bytearray(b"." * 256)
for _first, _last, _name in (
    (0x00, 0x02, b"l"), (0x03, 0x03, b"g"), (0x04, 0x04, b"c"), (0x05, 0x05, b"h"), (0x06, 0x06, b"a"),
    (0x09, 0x09, b"d"), (0x0A, 0x0A, b"p"), (0x0B, 0x0B, b"t"), (0x0C, 0x0C, b"k"), (0x0D, 0x0D, b"m"),
    (0x0E, 0x0E, b"s"), (0x10, 0x10, b"b"), (0x11, 0x11, b"o"), (0x17, 0x17, b"x"), (0x1E, 0x1E, b"l"),
    (0x1F, 0x1F, b"g"), (0x30, 0x30, b"j"), (0x34, 0x9F, b"z"), (0xAC, 0xD7, b"o"), (0xFB, 0xFB, b"a"),
):  # fmt: skip
    _PAGES[_first : _last + 1] = _name * (_last - _first + 1)
_SCRIPT_OF = bytes(_PAGES)
_SCRIPTS = bytes(sorted(set(_SCRIPT_OF) - set(b".l")))

_GAPS = str.maketrans(dict.fromkeys(map(ord, '!"#$%&()*+,./:;<=>?@[\\]^_`{|}~0123456789¿¡«»„“”…–—'), " "))
_NOISE = re.compile(r"https?://\S+|www\.\S+|[@#]\w+|:\w+:|`[^`]*`|<[^>]*>")
_LATIN_LETTER = re.compile(r"[a-zA-ZÀ-ɏḀ-ỿ]")
_KANA = re.compile(r"[ぁ-ゖァ-ヺー]")
_HAN = re.compile(r"[㐀-鿿]")

_LANE = 8
"""Bits that a language has in the sum of what its words count."""


def _lanes(lists: Mapping[str, str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Word → a one in the lane of each language it belongs to."""
    out: dict[str, int] = {}
    for place, words in enumerate(lists.values()):
        for word in set(words.split()):
            out[word] = out.get(word, 0) + (1 << (_LANE * place))
    return out, tuple(lists)


_LATIN_WORDS, _LATIN_LANGUAGES = _lanes(LATIN)
_CYRILLIC_WORDS, _CYRILLIC_LANGUAGES = _lanes(CYRILLIC)

# Letters that only one of the languages with lists has; they count as a word does.
_LATIN_LETTERS = {
    "ñ¿¡": "es", "ß": "de", "ãõ": "pt", "ğış": "tr", "łżźśćńąę": "pl",
    "ơưđăạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ": "vi",
    "ěřů": "cs", "țș": "ro", "å": "sv", "œ": "fr",
}  # fmt: skip
_CYRILLIC_LETTERS = {"ыэё": "ru", "іїєґ": "uk", "јљњђћџ": "sr"}


def _letters(given: Mapping[str, str], languages: tuple[str, ...]) -> dict[str, int]:
    return {letter: 1 << (_LANE * languages.index(name)) for letters, name in given.items() for letter in letters}


_LATIN_SIGNS = _letters(_LATIN_LETTERS, _LATIN_LANGUAGES)
_CYRILLIC_SIGNS = _letters(_CYRILLIC_LETTERS, _CYRILLIC_LANGUAGES)
_OTHER_CYRILLIC = re.compile(r"[әғқңөұүһҳҷѕѓќў]", re.IGNORECASE)


def language(text: str) -> str | None:
    """A BCP 47 tag (`zh`, `pt`, …), or None where it cannot be told."""
    read = text[:MOST_READ]
    if "/" in read or "@" in read or ":" in read or "`" in read or "#" in read:
        read = _NOISE.sub(" ", read)
    if read.isascii():
        return _latin(read)
    pages = read.encode("utf-16-be", "replace")[::2].translate(_SCRIPT_OF)
    # Two steps in C that leave only what is no Latin letter: most texts of most languages end here.
    found = pages.translate(None, b".l")
    if len(found) * 4 < len(_LATIN_LETTER.findall(read)):
        return _latin(read)
    if len(found) < 2:
        return None
    counts = {script: n for script in _SCRIPTS if (n := found.count(script))}
    most = max(counts, key=counts.__getitem__)
    if most in b"zj":
        return _chinese_or_japanese(read)
    if counts[most] < _LEAST or counts[most] * 2 <= len(found):
        return None
    decide = _DECIDE.get(most)
    return decide(read) if decide is not None else None


def _chinese_or_japanese(text: str) -> str | None:
    kana, han = len(_KANA.findall(text)), len(_HAN.findall(text))
    # A の stands in Chinese shop signs; a Japanese sentence has more kana than that. Few characters of Han alone may
    # be either's.
    if kana >= 2 and kana * 5 >= kana + han:
        return "ja"
    return "zh" if han >= _LEAST and kana * 8 <= han else None


def _best(total: int, languages: tuple[str, ...], least: int) -> str | None:
    """The language that most was found for: twice as much as for the next, or half as much again of plenty."""
    counts = total.to_bytes(len(languages) + 4, "little")
    first = max(counts)
    if first < least:
        return None
    place = counts.index(first)
    second = max(counts[:place] + counts[place + 1 :])
    return languages[place] if first >= 2 * second or (first >= 4 and 3 * second <= 2 * first) else None


def _sum(words: list[str], known: Mapping[str, int]) -> int:
    # Every word once: what is said ten times over is no better known for it, and no lane runs over.
    return sum([known[word] for word in set(words) if word in known])


def _latin(text: str) -> str | None:
    lower = text.lower().replace("’", "'")
    words = lower.translate(_GAPS).split()
    if len(words) < 3:
        return None
    total = _sum(words, _LATIN_WORDS)
    if not lower.isascii():
        total += sum([_LATIN_SIGNS[c] for c in set(lower) if c in _LATIN_SIGNS])
    return _best(total, _LATIN_LANGUAGES, 2 + len(words) // 12)


def _cyrillic(text: str) -> str | None:
    if _OTHER_CYRILLIC.search(text):
        return None
    lower = text.lower()
    words = lower.translate(_GAPS).split()
    total = _sum(words, _CYRILLIC_WORDS)
    total += 2 * sum([_CYRILLIC_SIGNS[c] for c in set(lower) if c in _CYRILLIC_SIGNS])
    return _best(total, _CYRILLIC_LANGUAGES, 2)


_ARABIC, _PERSIAN, _URDU = (re.compile(f"[{letters}]") for letters in ("ةيكىأإ", "پچژگکی", "ٹڈڑںےہ"))


def _arabic(text: str) -> str | None:
    if _URDU.search(text):
        return "ur"
    arabic, persian = len(_ARABIC.findall(text)), len(_PERSIAN.findall(text))
    if arabic == persian:
        return None
    return "ar" if arabic > persian else "fa"


@lru_cache(maxsize=64)
def _between(first: str, last: str) -> re.Pattern[str]:
    return re.compile(f"[{first}-{last}]")


def _halves(middle: str, end: str, lower: str | None, upper: str | None) -> Callable[[str], str | None]:
    """Two scripts that share a page: the letters from `middle` to `end` are the upper one's."""

    def decide(text: str) -> str | None:
        start = chr(ord(middle) & 0xFF00)
        above = len(_between(middle, end).findall(text))
        below = len(_between(start, chr(ord(middle) - 1)).findall(text))
        name, much, little = (upper, above, below) if above > below else (lower, below, above)
        return name if much >= _LEAST and little == 0 else None

    return decide


_DECIDE: dict[int, Callable[[str], str | None]] = {
    ord("c"): _cyrillic,
    ord("a"): _arabic,
    ord("g"): lambda _: "el",
    ord("o"): lambda _: "ko",
    # Devanagari is written for Hindi, Marathi and Nepali, Hebrew script for Hebrew and Yiddish: the one that is common.
    ord("d"): _halves("ঀ", "৿", "hi", "bn"),
    ord("h"): _halves("֑", "״", "hy", "he"),
    ord("p"): _halves("઀", "૿", "pa", "gu"),
    ord("t"): _halves("஀", "௿", "or", "ta"),
    ord("k"): _halves("ಀ", "೿", "te", "kn"),
    ord("m"): _halves("඀", "෿", "ml", "si"),
    ord("s"): _halves("຀", "໿", "th", "lo"),
    ord("b"): _halves("Ⴀ", "ჿ", "my", "ka"),
    ord("x"): _halves("ក", "៿", None, "km"),
}
