"""What stands on a certificate, and in which words."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from services.rewards.domain.paper import Line, Locale, Paper

GROUP = 4
"""Digits of a code between two hyphens, for who types it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Everything that stands on it. `code` is 32 hexadecimal digits, `link` where it is verified."""

    community: str
    member: str
    badge: str
    passed: bool
    day: date
    code: str
    link: str
    locale: Locale


_WORDS: Final[dict[Locale, dict[str, str]]] = {
    "en": {
        "title": "Certificate",
        "lead": "This is to certify that",
        "got": "received the badge",
        "passed": "passed",
        "code": "Verification code",
    },
    "zh-CN": {"title": "证书", "lead": "兹证明", "got": "获得徽章", "passed": "通过", "code": "验证码"},
}


def grouped(code: str) -> str:
    return "-".join(code[n : n + GROUP] for n in range(0, len(code), GROUP))


def plain(code: str) -> str:
    """A code as somebody typed it, as it is stored."""
    return code.replace("-", "").lower()


def paper(c: Certificate) -> Paper:
    """The template."""
    words = _WORDS[c.locale]
    return Paper(
        title=c.badge,
        day=c.day,
        locale=c.locale,
        lines=(
            Line(c.community, 20, 105),
            Line(words["title"], 44, 175, strong=True),
            Line(words["lead"], 15, 225),
            Line(c.member, 38, 280, strong=True),
            Line(words["passed" if c.passed else "got"], 15, 325),
            Line(c.badge, 30, 375, strong=True),
            Line(c.day.isoformat(), 16, 430),
            Line(f"{words['code']}: {grouped(c.code)}", 11, 490),
            Line(c.link, 10, 510),
        ),
    )
