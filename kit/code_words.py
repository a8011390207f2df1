"""Code words of the day (R32): said in or with a check-in, they show that it was made on that day.

A word and two digits ("maple47", "松林47"), made of the installation's secret, so that who checks needs no list and
nobody else knows the next one. One in 4,096: somebody who guesses is found out, a machine that guesses is not kept out.
"""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal
from uuid import UUID

from kit.sealing import derived

Language = Literal["en", "zh"]

PURPOSE = "check-ins: code words"
MOST_SAID = 3
"""Who says more different ones than this is going through them."""

_DIGITS = "23456789"
"""Without those that read like letters."""

_WORDS: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        "acorn", "amber", "anchor", "apple", "arrow", "badge", "bamboo", "basket", "beacon", "bridge", "bronze",
        "button", "candle", "canyon", "castle", "cedar", "cherry", "circle", "clover", "copper", "coral", "cotton",
        "crane", "desert", "dragon", "eagle", "ember", "falcon", "feather", "forest", "garden", "ginger", "glacier",
        "harbor", "honey", "island", "ivory", "jacket", "jungle", "kettle", "ladder", "lantern", "lemon", "maple",
        "marble", "meadow", "mirror", "mango", "ocean", "olive", "orchid", "panda", "pepper", "pillow", "planet",
        "pocket", "rabbit", "ribbon", "rocket", "saddle", "silver", "tiger", "tunnel", "violet",
    ),
    "zh": (
        "青山", "松林", "竹叶", "海浪", "云朵", "彩虹", "星空", "月光", "清风", "雪花", "春雨", "秋叶",
        "梅花", "兰草", "荷塘", "菊园", "石桥", "木船", "灯塔", "风车", "纸鹤", "铜铃", "陶罐", "竹篮",
        "书包", "铅笔", "雨伞", "钥匙", "手表", "镜子", "茶杯", "饭碗", "苹果", "香蕉", "葡萄", "西瓜",
        "草莓", "柠檬", "橘子", "核桃", "花生", "玉米", "土豆", "南瓜", "白菜", "蘑菇", "豆腐", "面包",
        "熊猫", "白兔", "老虎", "大象", "长颈鹿", "海豚", "企鹅", "蝴蝶", "蜜蜂", "燕子", "喜鹊", "鲸鱼",
        "骆驼", "松鼠", "刺猬", "孔雀",
    ),
}  # fmt: skip

_EVERY = sorted({word for words in _WORDS.values() for word in words}, key=len, reverse=True)
_SAID = re.compile(rf"(?<![a-z])({'|'.join(_EVERY)})[\s_-]?([{_DIGITS}]{{2}})(?!\d)")


def code_word(secret_key: str, community_id: UUID, series_id: str, day: date, language: Language) -> str:
    """A series' word of a day: the same on every replica, for as long as the installation's secret is."""
    said = f"{community_id}\n{series_id}\n{day.isoformat()}".encode()
    number = int.from_bytes(blake2b(said, key=_key(secret_key), digest_size=8).digest())
    words = _WORDS[language]
    number, first = divmod(number, len(_DIGITS))
    number, second = divmod(number, len(_DIGITS))
    return words[number % len(words)] + _DIGITS[first] + _DIGITS[second]


@lru_cache(maxsize=16)
def _key(secret_key: str) -> bytes:
    return derived(secret_key, PURPOSE)


def code_words_in(text: str) -> frozenset[str]:
    """What reads like a code word in a text, whatever its case and width and with a space or hyphen before the digits;
    none where there are more than `MOST_SAID`."""
    found = {word + digits for word, digits in _SAID.findall(unicodedata.normalize("NFKC", text).casefold())}
    return frozenset(found) if len(found) <= MOST_SAID else frozenset()
