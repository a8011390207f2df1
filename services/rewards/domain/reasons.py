"""Why the rules decided what they decided: the text that is kept with a decision, and its words (R13, R75).

What is kept is English, for whoever reads decisions by machine, and is read back to be said in the reader's language.
Decisions of before stay readable: each `Why` is kept as it always was; of a limit only its number was kept once, and of
computed amounts nothing.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, NewType

from services.rewards.domain.levels import WHOLE

Reason = NewType("Reason", str)
"""A text that this module made, so that it has words in every language; types see to it that rules give no other."""

NO_REASON = Reason("")


class Why(Enum):
    """Why nothing was given, or no amount could be worked out: as it is kept, in Chinese, and in English where that is
    not what is kept. What stands in braces is of the occasion."""

    NOT_TAKEN = "no series took the check-in", "打卡未被认可"
    NO_ACTOR = "the event does not say who the actor is", "事件未说明是谁做的"
    NO_AUTHOR = "the event does not say who the subject author is", "事件未说明内容的作者是谁"
    NO_INVITER = "the event does not say who the inviter is", "事件未说明邀请人是谁"
    NO_GROUP = "the event does not say in which group it was", "事件未说明发生在哪个群组"
    OWN_DOING = "nobody earns from their own doing", "自己的行为不能让自己得分"
    BOT = "bots do not earn", "机器人不计分"
    BY_BOT = "what bots do earns nobody anything", "机器人的行为不为任何人计分"
    REMOVED = "the member is removed", "成员已被移出"
    BANNED = "the member is banned", "成员已被封禁"
    ERASED = "the member is erased", "成员已被抹除"
    EXCLUDED = "the member is in the segment {segment}", "成员属于分组「{segment}」"
    NOTHING = "the amount is 0", "数额为 0"
    STALE = (
        "told again after a login, long after it happened",
        "登录后补发的旧事件,发生已久",
        "the event was told again after a login, long after it happened",
    )
    LATE = (
        "arrived more than {hours} h after it happened",
        "事件在发生 {hours} 小时之后才到达",
        "the event arrived more than {hours} h after it happened",
    )
    CLOSED = "what was decided on that day is no longer kept", "当天的记录已不再保留"
    THROTTLED = (
        "one of too many of the same member in that minute",
        "该分钟内行为过多",
        "too much was done in that minute",
    )
    COOLDOWN = (
        "less than {seconds} s since the last",
        "距离上次不足 {seconds} 秒",
        "too soon, less than {seconds} s after the last time",
    )
    DECIDED = "decided before", "此前已作决定"
    PAID = "paid before", "此前已给分"
    TOO_LARGE = "the amount is too large", "数额过大"
    NO_CONDITION = "gives {type}, not a bool", "条件给出 {type},不是真假值", "its condition gives {type}, not a bool"
    NO_AMOUNT = (
        "gives {type}, not a whole number",
        "算式给出 {type},不是整数",
        "its expression gives {type}, not a whole number",
    )

    def __init__(self, kept: str, zh: str, en: str = "") -> None:
        self.kept, self.words = kept, {"en": en or kept, "zh": zh}
        self.form = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\S+)", re.escape(kept)))

    def reason(self, **of_occasion: object) -> Reason:
        return Reason(self.kept.format(**of_occasion))


BY_STATE: Mapping[str, Why] = {"removed": Why.REMOVED, "banned": Why.BANNED, "erased": Why.ERASED}
"""By the state of who earns nothing any more."""

BY_RECEIVER: Mapping[str, Why] = {
    "actor": Why.NO_ACTOR,
    "subject_author": Why.NO_AUTHOR,
    "inviter": Why.NO_INVITER,
    "group": Why.NO_GROUP,
}
"""By the receiver whom the event does not name."""


def library_said(text: str) -> Reason:
    """What the library of expressions says of a failed evaluation: its first line, in its own words."""
    return Reason(text.splitlines()[0][:200] if text else "")


class Capped(NamedTuple):
    """The limit that cut an amount: `limit` of `of` (amount, grants) per window and scope; `seconds` of a rolling
    window, `over_all` rules for a limit of the unit."""

    limit: int
    of: str
    per: str
    scope: str
    seconds: int | None
    over_all: bool

    @property
    def reason(self) -> Reason:
        window = self.per if self.seconds is None else f"{self.seconds} s"
        rules = ", all rules" if self.over_all else ""
        return Reason(f"limit {self.limit}, {self.of} per {window} and {self.scope}{rules}")


class Basis(NamedTuple):
    """What an amount was computed from: the numbers that the expression `to` this receiver looked at."""

    to: str
    numbers: Mapping[str, int]

    @property
    def reason(self) -> Reason:
        numbers = ", ".join(f"{name} {number}" for name, number in self.numbers.items())
        return Reason(f"computed for {self.to}" + (f": {numbers}" if numbers else ""))


class Mixed(NamedTuple):
    """What an amount was mixed of: `share` per cent of what was earned, the rest of what was drawn."""

    share: int
    earned: int
    drawn: int

    @property
    def reason(self) -> Reason:
        return Reason(f"{self.share} % effort ({self.earned}), {100 - self.share} % chance ({self.drawn})")


class Multiplied(NamedTuple):
    """An amount that was multiplied by what a level brings: what it was before (made `of` that, where it was kept),
    and by how many ten-thousandths."""

    base: int
    multiplier: int
    level: int
    of: Basis | Mixed | None = None

    @property
    def reason(self) -> Reason:
        return with_basis(
            self.of.reason if self.of is not None else NO_REASON,
            Reason(f"{self.base} × {_factor(self.multiplier)} (level {self.level})"),
        )


def _factor(basis_points: int) -> str:
    whole, rest = divmod(basis_points, WHOLE)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".")


def with_basis(reason: Reason, basis: Reason) -> Reason:
    """Both as one text; either may be empty."""
    return Reason("; ".join(filter(None, (reason, basis))))


class Kept(NamedTuple):
    """A kept text, taken apart; `text` is what stands in it beside a basis."""

    text: str
    capped: Capped | None
    basis: Basis | Mixed | Multiplied | None

    @property
    def computed(self) -> Basis | None:
        """What an expression looked at, whether it was multiplied afterwards or not."""
        basis = self.basis.of if isinstance(self.basis, Multiplied) else self.basis
        return basis if isinstance(basis, Basis) else None


_SCOPES = {
    "en": {
        "member": "",
        "object": " for the same object",
        "actor_object": " for one person and object",
        "pair": " between the same two members",
        "community": " for everybody together",
    },
    "zh": {
        "member": "",
        "object": "同一对象",
        "actor_object": "同一人对同一对象",
        "pair": "同两名成员之间",
        "community": "全体成员",
    },
}
BETWEEN_SEASONS = "time between seasons"
"""The window of a limit per season, on a day in none."""
_WINDOWS = {
    "en": {
        "day": "today",
        "week": "this week",
        "month": "this month",
        "season": "this season",
        BETWEEN_SEASONS: "between seasons",
        "lifetime": "ever",
    },
    "zh": {
        "day": "当天",
        "week": "当周",
        "month": "当月",
        "season": "本赛季",
        BETWEEN_SEASONS: "赛季之间",
        "lifetime": "累计",
    },
}
_MEASURES = {"en": {"amount": "{n} {unit}", "grants": "{n} times"}, "zh": {"amount": "{n} {unit}", "grants": "{n} 次"}}
_LIMITS = {
    "en": {
        "one": "it is capped at {most} {window}{whose}",
        "all": "all rules together are capped at {most} {window}{whose}",
        "some": "its limit was reached",
        "budget": "the community's budget of {most} {window} is used up",
        "budget_all": "the community's budget of {most} {window} for all rules together is used up",
        "budget_some": "the community's budget is used up",
    },
    "zh": {
        "one": "已达{whose}{window}上限 {most}",
        "all": "已达所有规则合计的{whose}{window}上限 {most}",
        "some": "已达上限",
        "budget": "社群{window}预算 {most} 已用完",
        "budget_all": "社群{window}所有规则合计的预算 {most} 已用完",
        "budget_some": "社群预算已用完",
    },
}

NUMBERS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "actor.age_days": "days known: {n}",
        "actor.level": "level {n}",
        "actor.active_days": "days active: {n}",
        "counts.day": "times that day: {n}",
        "counts.week": "times that week: {n}",
        "counts.month": "times that month: {n}",
        "counts.ever": "times ever: {n}",
        "streak.current": "streak of {n}",
        "streak.longest": "longest streak of {n}",
        "streak.days": "days checked in: {n}",
        "text.length": "characters: {n}",
        "text.distinct": "different characters: {n}",
    },
    "zh": {
        "actor.age_days": "已认识 {n} 天",
        "actor.level": "等级 {n}",
        "actor.active_days": "活跃 {n} 天",
        "counts.day": "当天第 {n} 次",
        "counts.week": "当周第 {n} 次",
        "counts.month": "当月第 {n} 次",
        "counts.ever": "累计第 {n} 次",
        "streak.current": "连续 {n} 天",
        "streak.longest": "最长连续 {n} 天",
        "streak.days": "累计打卡 {n} 天",
        "text.length": "共 {n} 个字符",
        "text.distinct": "不同字符 {n} 个",
    },
}
"""Numbers that members are told their amounts were computed from. Not those of `signals`: who may be cheating is not
told how it is seen."""

MOST_FORMULA = 200
"""Characters of a formula that still reads as part of a sentence."""

_CAPPED = re.compile(
    rf"limit (\d+), ({'|'.join(_MEASURES['en'])}) per (?:({'|'.join(_WINDOWS['en'])})|(\d+) s) "
    rf"and ({'|'.join(_SCOPES['en'])})(, all rules)?"
)
_BASIS = re.compile(r"(?:(?P<text>.*); )?computed for (?P<to>\w+)(?:: (?P<numbers>[a-z_.]+ \d+(?:, [a-z_.]+ \d+)*))?")


_MIXED = re.compile(r"(?:(?P<text>.*); )?(?P<share>\d+) % effort \((?P<earned>\d+)\), \d+ % chance \((?P<drawn>\d+)\)")
_MULTIPLIED = re.compile(r"(?:(?P<rest>.*); )?(?P<base>\d+) × (?P<factor>\d+(?:\.\d{1,4})?) \(level (?P<level>\d+)\)")
_MULTIPLIED_WORDS = {
    "en": {
        "by": " = {base} × {factor}{how} (level {level})",
        "down": " rounded down",
        "least": ", at least 1",
        "of": ", {base}{of}",
    },
    "zh": {
        "by": " = {base} × {factor}{how}(等级 {level})",
        "down": " 向下取整",
        "least": ",至少 1",
        "of": ",{base}{of}",
    },
}
_MIXED_WORDS = {
    "en": " = {share} % effort ({earned}) + {rest} % chance ({drawn})",
    "zh": " = 努力 {share}%({earned})+ 运气 {rest}%({drawn})",
}


def read(kept: str) -> Kept:
    """A reason as it was kept, by this version or one before it."""
    if (found := _MULTIPLIED.fullmatch(kept)) is not None:
        there = read(found["rest"] or "")
        assert not isinstance(there.basis, Multiplied)
        whole, _, part = found["factor"].partition(".")
        multiplier = int(whole) * WHOLE + int(part.ljust(4, "0") or 0)
        return there._replace(basis=Multiplied(int(found["base"]), multiplier, int(found["level"]), there.basis))
    if (mix := _MIXED.fullmatch(kept)) is not None:
        text = mix["text"] or ""
        return Kept(text, _capped(text), Mixed(int(mix["share"]), int(mix["earned"]), int(mix["drawn"])))
    text, basis = kept, None
    if (found := _BASIS.fullmatch(kept)) is not None:
        pairs = [one.split(" ") for one in (found["numbers"] or "").split(", ") if one]
        text, basis = found["text"] or "", Basis(found["to"], {name: int(number) for name, number in pairs})
    return Kept(text, _capped(text), basis)


def _capped(text: str) -> Capped | None:
    found = _CAPPED.fullmatch(text)
    if found is None:
        return None
    limit, of, per, seconds, scope, over_all = found.groups()
    return Capped(int(limit), of, per or "rolling", scope, int(seconds) if seconds else None, over_all is not None)


def words(text: str, language: str) -> str | None:
    """What a `Why` was kept as, in words; None for a text that none is kept as."""
    for why in Why:
        if (found := why.form.fullmatch(text)) is not None:
            return why.words[language].format(**found.groupdict())
    return None


def limit_words(capped: Capped | None, unit: str, language: str, *, budget: bool) -> str:
    """What a limit comes to; of one from before more was kept (None), that it was reached."""
    forms = _LIMITS[language]
    kind = "some" if capped is None else "all" if capped.over_all else "one"
    if budget:
        kind = {"some": "budget_some", "all": "budget_all", "one": "budget"}[kind]
    if capped is None:
        return forms[kind]
    most = _MEASURES[language][capped.of].format(n=capped.limit, unit=unit)
    if most == "1 times":
        most = "1 time"
    window = _WINDOWS[language][capped.per] if capped.seconds is None else _within(capped.seconds, language)
    return forms[kind].format(most=most, window=window, whose=_SCOPES[language][capped.scope])


_SPANS = (86400, "day", "天"), (3600, "hour", "小时"), (60, "minute", "分钟"), (1, "second", "秒")


def _within(seconds: int, language: str) -> str:
    # 24 hours, since "within 1 day" reads as one of the calendar's.
    spans = _SPANS[1:] if seconds == 86400 else _SPANS
    size, en, zh = next(one for one in spans if seconds % one[0] == 0)
    n = seconds // size
    return f"{n} {zh}内" if language == "zh" else f"within {n} {en}{'' if n == 1 else 's'}"


def basis_words(basis: Basis | Mixed | Multiplied | None, formula: str, language: str) -> str:
    """What stands after an amount: " = 5 * streak.current (streak of 7)"; "" where nothing of it was kept. `formula` is
    the expression that ran ("": not known any more); one that is too long to read is left out."""
    if basis is None:
        return ""
    if isinstance(basis, Multiplied):
        return _multiplied_words(basis, basis_words(basis.of, formula, language), language)
    if isinstance(basis, Mixed):
        return _MIXED_WORDS[language].format(**basis._asdict(), rest=100 - basis.share)
    shown = " ".join(formula.split())
    forms = NUMBERS[language]
    numbers = ", ".join(forms[name].format(n=n) for name, n in basis.numbers.items() if name in forms)
    if numbers and basis.to != "actor":
        numbers = f"行为者:{numbers}" if language == "zh" else f"of who did it: {numbers}"
    said = f" = {shown}" if 0 < len(shown) <= MOST_FORMULA else ""
    return said + (f" ({numbers})" if numbers else "")


def _multiplied_words(of: Multiplied, base: str, language: str) -> str:
    """ " = 5 × 1.5 rounded down (level 20), 5 = 5 * streak.current (streak of 1)"."""
    forms = _MULTIPLIED_WORDS[language]
    whole, rest = divmod(of.base * of.multiplier, WHOLE)
    how = forms["least"] if whole == 0 else forms["down"] if rest else ""
    said = forms["by"].format(base=of.base, factor=_factor(of.multiplier), how=how, level=of.level)
    return said + (forms["of"].format(base=of.base, of=base) if base else "")
