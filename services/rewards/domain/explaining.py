"""Decisions in words a member can read (R75), in English and Chinese."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_WORDS = {
    "en": {
        "granted": "rule {rule} gave {amount} {unit}",
        "granted_mixed": "rule {rule} gave {amount} {unit}: {reason}",
        "capped_part": "rule {rule} gave {amount} of {wanted} {unit}: its limit was reached",
        "capped": "rule {rule} would have given {wanted} {unit}, but its limit was reached",
        "cooldown": "rule {rule} gave nothing: too soon after the last time",
        "ineligible": "rule {rule} gave nothing: {reason}",
        "budget_exhausted": "rule {rule} gave nothing: the community's budget is used up",
        "late": "rule {rule} gave nothing: the event arrived too late",
        "throttled": "rule {rule} gave nothing: too much was done in that minute",
        "duplicate": "rule {rule} had decided on this before",
        "undone": "rule {rule} gave nothing: {cause}",
        "undone_part": "{taken} {unit} of rule {rule} taken back because {cause}",
        "recomputed": "rule {rule} recomputed under version {reason} of the rules: {amount:+d} {unit}",
        "pending": "rule {rule} would give up to {wanted} {unit}: under review",
        "declined": "rule {rule} gave nothing: refused after a review",
        "refused": "{taken} {unit} of rule {rule} could not be taken back, though {cause}: they were spent",
        "error": "rule {rule} could not be worked out: {reason}",
        "of_group": "{text} (group {group})",
        "line": "{type} at {time}: {text}",
    },
    "zh": {
        "granted": "规则「{rule}」给出 {amount} {unit}",
        "granted_mixed": "规则「{rule}」给出 {amount} {unit}:{reason}",
        "capped_part": "规则「{rule}」给出 {amount}/{wanted} {unit}:已达上限",
        "capped": "规则「{rule}」本应给出 {wanted} {unit},但已达上限",
        "cooldown": "规则「{rule}」未给分:距离上次太近",
        "ineligible": "规则「{rule}」未给分:{reason}",
        "budget_exhausted": "规则「{rule}」未给分:社群预算已用完",
        "late": "规则「{rule}」未给分:事件到达太晚",
        "throttled": "规则「{rule}」未给分:该分钟内行为过多",
        "duplicate": "规则「{rule}」此前已作决定",
        "undone": "规则「{rule}」未给分:{cause}",
        "undone_part": "因{cause},收回规则「{rule}」给出的 {taken} {unit}",
        "recomputed": "规则「{rule}」按第 {reason} 版规则重新计算:{amount:+d} {unit}",
        "pending": "规则「{rule}」至多给出 {wanted} {unit}:正在审核",
        "declined": "规则「{rule}」未给分:审核未通过",
        "refused": "{cause},但规则「{rule}」给出的 {taken} {unit} 已被花掉,未能收回",
        "error": "规则「{rule}」无法计算:{reason}",
        "of_group": "{text}(群组 {group})",
        "line": "{time} 的 {type}:{text}",
    },
}

_CAUSES = {
    "en": {
        "message.recalled": "the message was recalled",
        "message.deleted": "the message was deleted",
        "reaction.removed": "the reaction was removed",
        "checkin.voided": "the check-in was voided",
        "order.refunded": "the order was refunded",
        "member.left": "the member left",
        "member.kicked": "the member was removed",
        "member.banned": "the member was banned",
    },
    "zh": {
        "message.recalled": "消息已撤回",
        "message.deleted": "消息已删除",
        "reaction.removed": "回应已取消",
        "checkin.voided": "打卡已作废",
        "order.refunded": "订单已退款",
        "member.left": "成员已退出",
        "member.kicked": "成员已被移出",
        "member.banned": "成员已被封禁",
    },
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as far as the words need it; `group` is which group it was for, if for one."""

    rule: str
    unit: str
    verdict: str
    wanted: int
    amount: int
    reason: str
    group: str | None = None


_MIXED = re.compile(r"(\d+) % effort \((\d+)\), (\d+) % chance \((\d+)\)")
_MIXED_ZH = "努力占 {}%({}),运气占 {}%({})"


def mixed_of(earned: int, drawn: int, share: int) -> str:
    """The reason of a decision that gave a mixed amount; `phrase` says it in other languages."""
    return f"{share} % effort ({earned}), {100 - share} % chance ({drawn})"


_EXCLUDED = re.compile(r"the member is in the segment (.+)")
_EXCLUDED_ZH = "成员属于分组「{}」"

NOT_TAKEN = "no series took the check-in"
"""The reason of a decision on a check-in that lacked what its series asks for, or that was not let through."""
_NOT_TAKEN_ZH = "打卡未被认可"


def excluded_segment(segment: str) -> str:
    """The reason of a decision that somebody in this segment earns nothing; `phrase` says it in other languages."""
    return f"the member is in the segment {segment}"


def _reason(text: str, language: str) -> str:
    if text == NOT_TAKEN:
        return _NOT_TAKEN_ZH if language == "zh" else text
    if language == "zh" and (parts := _MIXED.fullmatch(text)) is not None:
        return _MIXED_ZH.format(*parts.groups())
    excluded = _EXCLUDED.fullmatch(text) if language == "zh" else None
    return _EXCLUDED_ZH.format(excluded[1]) if excluded is not None else text


def language_of(accept_language: str) -> str:
    """`zh` where the reader prefers Chinese, else `en`; takes the first of the header that we speak."""
    for part in accept_language.lower().split(","):
        tag = part.partition(";")[0].strip()
        if tag.startswith(("zh", "en")):
            return tag[:2]
    return "en"


def cause(type: str, language: str) -> str:
    """An inverse event as part of a sentence; its type where it is a community's own."""
    return _CAUSES[language].get(type, f"of {type}" if language == "en" else type)


def phrase(decided: Decided, language: str) -> str:
    """One decision as part of a sentence."""
    words = _WORDS[language]
    in_part = decided.verdict in ("capped", "undone") and decided.amount != 0
    mixed = decided.verdict == "granted" and _MIXED.fullmatch(decided.reason) is not None
    text = words["granted_mixed" if mixed else f"{decided.verdict}_part" if in_part else decided.verdict].format(
        rule=decided.rule,
        unit=decided.unit,
        amount=decided.amount,
        wanted=decided.wanted,
        reason=_reason(decided.reason, language),
        taken=-decided.wanted,
        cause=cause(decided.reason, language),
    )
    return text if decided.group is None else words["of_group"].format(text=text, group=decided.group)


def sentence(type: str, at: datetime, decisions: Sequence[Decided], language: str) -> str:
    """Everything decided on one event, for a person: "message.created at 21:03: rule talk gave 1 xp; …"."""
    separator = ";" if language == "zh" else "; "
    text = separator.join(phrase(d, language) for d in decisions)
    return _WORDS[language]["line"].format(type=type, time=at.strftime("%Y-%m-%d %H:%M"), text=text)
