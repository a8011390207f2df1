"""What stands on the poster of a member's month, and in which words."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from services.rewards.domain.certificates import grouped
from services.rewards.domain.paper import Line, Locale, Paper

MOST_UNITS = 5
MOST_NAMED = 6
"""Badges that are named; of more it says how many."""
TOP, BOTTOM, STEP = 285.0, 460.0, 40.0
CODE, LINK = 490.0, 510.0
SIZE = 22.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """`month` is its first day. `points` are (unit's name, what its boards count for the month), `checkins` the days
    checked in on, `streak` the longest that the streak was on one of them; `badges` the names of those granted in it.
    """

    community: str
    member: str
    month: date
    points: tuple[tuple[str, int], ...]
    checkins: int
    streak: int
    badges: tuple[str, ...]
    locale: Locale


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WORDS: Final[dict[Locale, dict[str, str]]] = {
    "en": {
        "checkins": "Check-ins: {}",
        "streak": "Longest streak: {}",
        "points": "{}: {:+,}",
        "badges": "Badges: {}",
        "more": "{}, and {} more",
        "between": ", ",
        "nothing": "A quiet month",
        "code": "Verification code",
    },
    "zh-CN": {
        "checkins": "签到：{} 次",
        "streak": "最长连续：{} 次",
        "points": "{}：{:+,}",
        "badges": "徽章：{}",
        "more": "{}，另有 {} 枚",
        "between": "、",
        "nothing": "平静的一个月",
        "code": "验证码",
    },
}


def paper(p: Poster, *, code: str, link: str) -> Paper:
    """The template. `code` is 32 hexadecimal digits, `link` where it is verified."""
    title = f"{_MONTHS[p.month.month - 1]} {p.month.year}" if p.locale == "en" else f"{p.month:%Y}年{p.month.month}月"
    said = _said(p)
    step = min(STEP, (BOTTOM - TOP) / max(1, len(said) - 1))
    size = min(SIZE, step * 0.6)
    return Paper(
        title=title,
        day=p.month,
        locale=p.locale,
        lines=(
            Line(p.community, 20, 105),
            Line(title, 44, 170, strong=True),
            Line(p.member, 34, 230, strong=True),
            *[Line(text, size, TOP + n * step) for n, text in enumerate(said)],
            Line(f"{_WORDS[p.locale]['code']}: {grouped(code)}", 11, CODE),
            Line(link, 10, LINK),
        ),
    )


def _said(p: Poster) -> list[str]:
    """What there is to say, a line each; nothing is said of what there was none of."""
    words = _WORDS[p.locale]
    out = [words[name].format(n) for name, n in (("checkins", p.checkins), ("streak", p.streak)) if n]
    out += [words["points"].format(unit, amount) for unit, amount in p.points[:MOST_UNITS]]
    if p.badges:
        named = words["between"].join(p.badges[:MOST_NAMED])
        more = len(p.badges) - MOST_NAMED
        out.append(words["badges"].format(words["more"].format(named, more) if more > 0 else named))
    return out or [words["nothing"]]
