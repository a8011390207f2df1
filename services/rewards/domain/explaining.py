"""Decisions in words a member can read (R75), in English and Chinese."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_WORDS = {
    "en": {
        "granted": "rule {rule} gave {amount} {unit}",
        "capped_part": "rule {rule} gave {amount} of {wanted} {unit}: its limit was reached",
        "capped": "rule {rule} would have given {wanted} {unit}, but its limit was reached",
        "cooldown": "rule {rule} gave nothing: too soon after the last time",
        "ineligible": "rule {rule} gave nothing: {reason}",
        "budget_exhausted": "rule {rule} gave nothing: the community's budget is used up",
        "late": "rule {rule} gave nothing: the event arrived too late",
        "throttled": "rule {rule} gave nothing: too much was done in that minute",
        "duplicate": "rule {rule} had decided on this before",
        "error": "rule {rule} could not be worked out: {reason}",
        "line": "{type} at {time}: {text}",
    },
    "zh": {
        "granted": "规则「{rule}」给出 {amount} {unit}",
        "capped_part": "规则「{rule}」给出 {amount}/{wanted} {unit}:已达上限",
        "capped": "规则「{rule}」本应给出 {wanted} {unit},但已达上限",
        "cooldown": "规则「{rule}」未给分:距离上次太近",
        "ineligible": "规则「{rule}」未给分:{reason}",
        "budget_exhausted": "规则「{rule}」未给分:社群预算已用完",
        "late": "规则「{rule}」未给分:事件到达太晚",
        "throttled": "规则「{rule}」未给分:该分钟内行为过多",
        "duplicate": "规则「{rule}」此前已作决定",
        "error": "规则「{rule}」无法计算:{reason}",
        "line": "{time} 的 {type}:{text}",
    },
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as far as the words need it; `at` is in the zone of the reader."""

    rule: str
    unit: str
    verdict: str
    wanted: int
    amount: int
    reason: str


def language_of(accept_language: str) -> str:
    """`zh` where the reader prefers Chinese, else `en`; takes the first of the header that we speak."""
    for part in accept_language.lower().split(","):
        tag = part.partition(";")[0].strip()
        if tag.startswith(("zh", "en")):
            return tag[:2]
    return "en"


def phrase(decided: Decided, language: str) -> str:
    """One decision as part of a sentence."""
    words = _WORDS[language]
    key = "capped_part" if decided.verdict == "capped" and decided.amount else decided.verdict
    return words[key].format(
        rule=decided.rule, unit=decided.unit, amount=decided.amount, wanted=decided.wanted, reason=decided.reason
    )


def sentence(type: str, at: datetime, decisions: Sequence[Decided], language: str) -> str:
    """Everything decided on one event, for a person: "message.created at 21:03: rule talk gave 1 xp; …"."""
    separator = ";" if language == "zh" else "; "
    text = separator.join(phrase(d, language) for d in decisions)
    return _WORDS[language]["line"].format(type=type, time=at.strftime("%Y-%m-%d %H:%M"), text=text)
