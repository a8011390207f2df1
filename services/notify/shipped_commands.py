"""What is said to commands in chat (E11), in English and Chinese. In a chat only the body is said."""

from collections.abc import Mapping
from typing import Any

Texts = Mapping[str, Mapping[str, str]]

_TEXT, _WHOLE = {"type": "string", "maxLength": 500}, {"type": "integer"}
_TEXTS = {"type": "array", "maxItems": 20, "items": _TEXT}
_AMOUNTS = {
    "type": "array",
    "maxItems": 20,
    "items": {
        "type": "object",
        "properties": {"amount": _WHOLE, "unit": _TEXT},
        "required": ["amount", "unit"],
        "additionalProperties": False,
    },
}


def _texts(en: tuple[str, str], zh: tuple[str, str]) -> Texts:
    return {"en": {"title": en[0], "body": en[1]}, "zh-CN": {"title": zh[0], "body": zh[1]}}


_GRANTED = "{% for g in grants %}{{ ', ' if not loop.first }}+{{ g.amount }} {{ g.unit | unit }}{% endfor %}"
_GRANTED_ZH = "{% for g in grants %}{{ '，' if not loop.first }}{{ g.unit | unit }} +{{ g.amount }}{% endfor %}"
_HELD = "{% for b in balances %}{{ ', ' if not loop.first }}{{ b.amount }} {{ b.unit | unit }}{% endfor %}"
_HELD_ZH = "{% for b in balances %}{{ '，' if not loop.first }}{{ b.unit | unit }} {{ b.amount }}{% endfor %}"

_LACKS = {
    "text_too_short": ("a longer text", "更长的文字"),
    "media_missing": ("a picture", "图片"),
    "number_missing": ("a number", "数字"),
    "number_out_of_range": ("a number within the limits", "范围内的数字"),
    "code_word_missing": ("the day's code word", "当日口令"),
    "location_missing": ("where you are", "所在位置"),
    "location_outside": ("being at the place", "到达指定地点"),
}
"""What a check-in lacks, as part of a sentence in English and in Chinese."""


def _lacking(language: int, separator: str) -> str:
    """A list of these codes in words; one that this version has none for stands as it is."""
    first, *others = [f"if m == '{code}' %}}{words[language]}{{% " for code, words in _LACKS.items()]
    said = "".join([first, *(f"el{one}" for one in others)])
    word = f"{{% {said}else %}}{{{{ m }}}}{{% endif %}}"
    return f"{{% for m in missing %}}{{{{ '{separator}' if not loop.first }}}}{word}{{% endfor %}}"


COMMANDS: Mapping[str, tuple[Mapping[str, Any], Texts]] = {
    "command.checkin.counted": (
        {"grants": _AMOUNTS, "day": _TEXT},
        _texts(
            ("Checked in", f"Checked in for {{{{ day }}}}: {_GRANTED}."),
            ("打卡成功", f"{{{{ day }}}} 打卡成功：{_GRANTED_ZH}。"),
        ),
    ),
    "command.checkin.streak": (
        {"grants": _AMOUNTS, "day": _TEXT, "streak": _WHOLE},
        _texts(
            ("Checked in", f"Checked in for {{{{ day }}}}, {{{{ streak }}}} days in a row: {_GRANTED}."),
            ("打卡成功", f"{{{{ day }}}} 打卡成功，已连续 {{{{ streak }}}} 天：{_GRANTED_ZH}。"),
        ),
    ),
    "command.checkin.again": (
        {"day": _TEXT},
        _texts(
            ("Checked in before", "You have checked in for {{ day }} already."),
            ("已经打过卡", "{{ day }} 你已经打过卡了。"),
        ),
    ),
    "command.checkin.before": (
        {"day": _TEXT, "at": _TEXT},
        _texts(
            ("Checked in before", "You have checked in for {{ day }} already, at {{ at }}."),
            ("已经打过卡", "{{ day }} 你已经打过卡了（{{ at }}）。"),
        ),
    ),
    "command.checkin.refused": (
        {"day": _TEXT, "missing": _TEXTS},
        _texts(
            ("Not checked in", f"This does not count for {{{{ day }}}} yet. It lacks: {_lacking(0, ', ')}."),
            ("打卡未完成", f"{{{{ day }}}} 的打卡还不算数，缺少：{_lacking(1, '、')}。"),
        ),
    ),
    "command.checkin.pending": (
        {"day": _TEXT},
        _texts(
            ("Waiting", "Your check-in for {{ day }} waits for somebody to confirm it."),
            ("等待确认", "{{ day }} 的打卡已提交，等待确认。"),
        ),
    ),
    "command.checkin.nothing": (
        {"reason": _TEXT},
        _texts(
            ("Nothing earned", "Your check-in was noted; it earned nothing."),
            ("没有奖励", "打卡已记录，这次没有奖励。"),
        ),
    ),
    "command.points": (
        {"balances": _AMOUNTS},
        _texts(
            ("Your points", f"You have {{{{ 'nothing yet' if not balances }}}}{_HELD}."),
            ("你的积分", f"{{{{ '你还没有积分' if not balances else '你有：' }}}}{_HELD_ZH}。"),
        ),
    ),
    "command.rank": (
        {"board": _TEXT, "period": _TEXT, "rank": _WHOLE, "total": _WHOLE, "score": _WHOLE, "unit": _TEXT},
        _texts(
            (
                "Your rank",
                "“{{ board }}” ({{ period }}): you are number {{ rank }} of {{ total }} with {{ score }} "
                "{{ unit | unit }}.",
            ),
            (
                "你的排名",
                "“{{ board }}”榜（{{ period }}）：你排第 {{ rank }}，共 {{ total }} 人，"
                "{{ unit | unit }} {{ score }}。",
            ),
        ),
    ),
    "command.rank.none": (
        {"board": _TEXT},
        _texts(
            ("Not on it yet", "You are not on “{{ board }}” yet."),
            ("还没有上榜", "你还没有登上“{{ board }}”榜。"),
        ),
    ),
    "command.rank.no_board": (
        {},
        _texts(("No board", "There is no board here yet."), ("没有排行榜", "这里还没有排行榜。")),
    ),
    "command.bind.linked": (
        {},
        _texts(
            ("Linked", "This account is yours now: what you do here counts for you."),
            ("绑定成功", "绑定成功，你在这里的活动都会记到你名下。"),
        ),
    ),
    "command.bind.refused": (
        {},
        _texts(
            ("Code refused", "This code is wrong, was used or has expired. Get a new one and say it again."),
            ("绑定失败", "绑定码错误、已使用或已过期，请重新获取。"),
        ),
    ),
    "command.bind.throttled": (
        {},
        _texts(
            ("Too many tries", "Too many tries. Wait a while before the next one."),
            ("尝试过多", "尝试次数过多，请稍后再试。"),
        ),
    ),
    "command.bind.conflict": (
        {},
        _texts(
            ("Somebody else's", "This account is linked to somebody else already. Ask whoever runs this community."),
            ("已被绑定", "这个账号已绑定给别人，请联系管理员。"),
        ),
    ),
    "command.stop.done": (
        {},
        _texts(
            ("Stopped", "You will hear no more from us in chats, except answers to your own commands."),
            ("已退订", "已退订：除了回答你的指令，我们不会再在聊天里打扰你。"),
        ),
    ),
}
