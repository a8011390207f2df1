"""Decisions in words a member can read (R75), in English and Chinese."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.rewards.domain.reasons import basis_words, limit_words, read, words

_WORDS = {
    "en": {
        "granted": "rule {rule} gave {amount} {unit}{basis}",
        "capped_part": "rule {rule} gave {amount} of {wanted} {unit}{basis}: {limit}",
        "capped": "rule {rule} would have given {wanted} {unit}{basis}, but {limit}",
        "cooldown": "rule {rule} gave nothing: {reason}",
        "ineligible": "rule {rule} gave nothing: {reason}{basis}",
        "budget_exhausted": "rule {rule} gave nothing: {budget}",
        "late": "rule {rule} gave nothing: {reason}",
        "throttled": "rule {rule} gave nothing: {reason}",
        "duplicate": "rule {rule} had decided on this before",
        "undone": "rule {rule} gave nothing: {cause}",
        "undone_part": "{taken} {unit} of rule {rule} taken back because {cause}",
        "recomputed": "rule {rule} recomputed under version {reason} of the rules: {amount:+d} {unit}",
        "pending": "rule {rule} would give up to {wanted} {unit}{basis}: under review",
        "declined": "rule {rule} gave nothing: refused after a review",
        "refused": "{taken} {unit} of rule {rule} could not be taken back, though {cause}: they were spent",
        "error": "rule {rule} could not be worked out: {reason}",
        "of_group": "{text} (group {group})",
        "line": "{type} at {time}: {text}",
    },
    "zh": {
        "granted": "规则「{rule}」给出 {amount} {unit}{basis}",
        "capped_part": "规则「{rule}」给出 {amount}/{wanted} {unit}{basis}:{limit}",
        "capped": "规则「{rule}」本应给出 {wanted} {unit}{basis},但{limit}",
        "cooldown": "规则「{rule}」未给分:{reason}",
        "ineligible": "规则「{rule}」未给分:{reason}{basis}",
        "budget_exhausted": "规则「{rule}」未给分:{budget}",
        "late": "规则「{rule}」未给分:{reason}",
        "throttled": "规则「{rule}」未给分:{reason}",
        "duplicate": "规则「{rule}」此前已作决定",
        "undone": "规则「{rule}」未给分:{cause}",
        "undone_part": "因{cause},收回规则「{rule}」给出的 {taken} {unit}",
        "recomputed": "规则「{rule}」按第 {reason} 版规则重新计算:{amount:+d} {unit}",
        "pending": "规则「{rule}」至多给出 {wanted} {unit}{basis}:正在审核",
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
    """A decision as far as the words need it; `group` is which group it was for, if for one, `formula` the expression
    that computed its amount, if one did and the version of the rules is known."""

    rule: str
    unit: str
    verdict: str
    wanted: int
    amount: int
    reason: str
    group: str | None = None
    formula: str = ""


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
    forms, kept = _WORDS[language], read(decided.reason)
    # Approved after a limit had cut it, it is not what the formula came to.
    computed = None if decided.verdict == "granted" and decided.amount != decided.wanted else kept.basis
    in_part = decided.verdict in ("capped", "undone") and decided.amount != 0
    text = forms[f"{decided.verdict}_part" if in_part else decided.verdict].format(
        rule=decided.rule,
        unit=decided.unit,
        amount=decided.amount,
        wanted=decided.wanted,
        reason=_reason(kept.text, decided.verdict, language),
        limit=limit_words(kept.capped, decided.unit, language, budget=False),
        budget=limit_words(kept.capped, decided.unit, language, budget=True),
        basis=basis_words(computed, decided.formula, language),
        taken=-decided.wanted,
        cause=cause(decided.reason, language),
    )
    return text if decided.group is None else forms["of_group"].format(text=text, group=decided.group)


def why(decided: Decided, language: str) -> str:
    """Why a decision gave nothing, without its rule; the verdict where nothing else says it."""
    kept = read(decided.reason)
    if decided.verdict in ("capped", "budget_exhausted"):
        return limit_words(kept.capped, decided.unit, language, budget=decided.verdict == "budget_exhausted")
    return _reason(kept.text, decided.verdict, language) or decided.verdict


def _reason(text: str, verdict: str, language: str) -> str:
    said = words(text, language)
    if said is None:
        # The version of a recompute, or what the library of expressions said.
        return f"算式出错({text})" if language == "zh" and verdict == "error" else text
    return said


def sentence(type: str, at: datetime, decisions: Sequence[Decided], language: str) -> str:
    """Everything decided on one event, for a person: "message.created at 21:03: rule talk gave 1 xp; …"."""
    separator = ";" if language == "zh" else "; "
    text = separator.join(phrase(d, language) for d in decisions)
    return _WORDS[language]["line"].format(type=type, time=at.strftime("%Y-%m-%d %H:%M"), text=text)
