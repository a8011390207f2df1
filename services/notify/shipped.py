"""The templates every community begins with, in English and Chinese, and the words they use for our own names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.notify.shipped_commands import COMMANDS


@dataclass(frozen=True, slots=True)
class Shipped:
    """`variables` is a JSON Schema; `texts` is locale → title and body (Jinja)."""

    category: str
    variables: Mapping[str, Any]
    texts: Mapping[str, Mapping[str, str]]


def _schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(properties),
        "additionalProperties": False,
    }


_TEXT, _WHOLE = {"type": "string", "maxLength": 500}, {"type": "integer"}
_GRANTS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 20,
    "items": {
        "type": "object",
        "properties": {"amount": _WHOLE, "unit": _TEXT},
        "required": ["amount", "unit"],
        "additionalProperties": False,
    },
}

SHIPPED: Mapping[str, Shipped] = {
    "points.granted": Shipped(
        "rewards",
        _schema(grants=_GRANTS, activity=_TEXT),
        {
            "en": {
                "title": "{% for g in grants %}{{ ', ' if not loop.first }}+{{ g.amount }} {{ g.unit | unit }}"
                "{% endfor %} for {{ activity | activity }}",
                "body": "Thank you! For {{ activity | activity }} you got {% for g in grants %}"
                "{{ ' and ' if not loop.first }}{{ g.amount }} {{ g.unit | unit }}{% endfor %}.",
            },
            "zh-CN": {
                "title": "{{ activity | activity }}：{% for g in grants %}{{ '，' if not loop.first }}"
                "{{ g.unit | unit }} +{{ g.amount }}{% endfor %}",
                "body": "谢谢你！因{{ activity | activity }}获得{% for g in grants %}{{ '和' if not loop.first }} "
                "{{ g.amount }} {{ g.unit | unit }}{% endfor %}。",
            },
        },
    ),
    "points.adjusted": Shipped(
        "rewards",
        _schema(amount=_WHOLE, unit=_TEXT, reason=_TEXT),
        {
            "en": {
                "title": "{{ '+' if amount > 0 }}{{ amount }} {{ unit | unit }}",
                "body": "Your account was changed by {{ '+' if amount > 0 }}{{ amount }} {{ unit | unit }}"
                "{{ ': ' ~ reason if reason }}.",
            },
            "zh-CN": {
                "title": "{{ unit | unit }} {{ '+' if amount > 0 }}{{ amount }}",
                "body": "你的账户变动：{{ unit | unit }} {{ '+' if amount > 0 }}{{ amount }}"
                "{{ '，原因：' ~ reason if reason }}。",
            },
        },
    ),
    "level.reached": Shipped(
        "rewards",
        _schema(level=_WHOLE, name=_TEXT, unit=_TEXT, threshold=_WHOLE),
        {
            "en": {
                "title": "Level {{ level }} reached",
                "body": "You reached level {{ level }} ({{ name }}) with {{ threshold }} {{ unit | unit }}.",
            },
            "zh-CN": {
                "title": "升到 {{ level }} 级",
                "body": "你的{{ unit | unit }}达到 {{ threshold }}，升到 {{ level }} 级（{{ name }}）。",
            },
        },
    ),
    "badge.granted": Shipped(
        "rewards",
        _schema(badge=_TEXT, reason=_TEXT),
        {
            "en": {
                "title": "Badge “{{ badge }}”",
                "body": "You got the badge “{{ badge }}”{{ ': ' ~ reason if reason }}.",
            },
            "zh-CN": {
                "title": "徽章“{{ badge }}”",
                "body": "你获得了徽章“{{ badge }}”{{ '：' ~ reason if reason }}。",
            },
        },
    ),
    "badge.revoked": Shipped(
        "rewards",
        _schema(badge=_TEXT, why={"enum": ["undone", "expired", "by_hand"]}, reason=_TEXT),
        {
            "en": {
                "title": "Badge “{{ badge }}” {{ 'expired' if why == 'expired' else 'taken back' }}",
                "body": "{% if why == 'expired' %}The badge “{{ badge }}” expired; you can get it again."
                "{% elif why == 'undone' %}The badge “{{ badge }}” was taken back: what it was for holds no more."
                "{% else %}The badge “{{ badge }}” was taken back: {{ reason }}.{% endif %}",
            },
            "zh-CN": {
                "title": "徽章“{{ badge }}”{{ '已到期' if why == 'expired' else '已收回' }}",
                "body": "{% if why == 'expired' %}徽章“{{ badge }}”已到期，可以再次获得。"
                "{% elif why == 'undone' %}徽章“{{ badge }}”已收回：条件不再满足。"
                "{% else %}徽章“{{ badge }}”已收回：{{ reason }}。{% endif %}",
            },
        },
    ),
    "board.first": Shipped(
        "rewards",
        _schema(board=_TEXT, period=_TEXT, score=_WHOLE),
        {
            "en": {
                "title": "First on “{{ board }}” this week",
                "body": "With {{ score }} you lead the board “{{ board }}” of week {{ period }}.",
            },
            "zh-CN": {
                "title": "本周“{{ board }}”榜第一名",
                "body": "你以 {{ score }} 分领先“{{ board }}”榜（{{ period }} 周）。",
            },
        },
    ),
    "league.changed": Shipped(
        "rewards",
        _schema(board=_TEXT, period=_TEXT, outcome={"enum": ["promoted", "demoted"]}, tier=_TEXT),
        {
            "en": {
                "title": "{{ 'Up' if outcome == 'promoted' else 'Down' }} to {{ tier }}",
                "body": "{{ period }} of “{{ board }}” is over: you "
                "{{ 'go up' if outcome == 'promoted' else 'go down' }} to {{ tier }}.",
            },
            "zh-CN": {
                "title": "{{ '升入' if outcome == 'promoted' else '降至' }}{{ tier }}",
                "body": "“{{ board }}”榜 {{ period }} 已结束："
                "你{{ '升入' if outcome == 'promoted' else '降至' }}{{ tier }}。",
            },
        },
    ),
    **{name: Shipped("commands", _schema(**variables), texts) for name, (variables, texts) in COMMANDS.items()},
}

_UNITS = {
    "en": {"points": "points", "xp": "XP"},
    "zh": {"points": "积分", "xp": "经验值", "contribution": "贡献值"},
}
_ACTIVITIES = {
    "en": {
        "checkin.submitted": "your check-in",
        "message.created": "your message",
        "reaction.added": "a reaction to what you wrote",
        "question.asked": "your question",
        "answer.posted": "your answer",
        "answer.accepted": "your accepted answer",
        "invite.qualified": "your invitation",
        "event.attended": "taking part",
        "content.accepted": "your contribution to the library",
        "onboarding.finished": "your first steps here",
    },
    "zh": {
        "checkin.submitted": "打卡",
        "message.created": "发言",
        "reaction.added": "收到回应",
        "question.asked": "提问",
        "answer.posted": "回答",
        "answer.accepted": "回答被采纳",
        "invite.qualified": "邀请新成员",
        "event.attended": "参加活动",
        "content.accepted": "投稿入库",
        "onboarding.finished": "完成新手任务",
    },
}


def unit_word(unit: str, locale: str) -> str:
    """What a unit is called in a language; its own id where we have no word."""
    return _UNITS.get(locale.split("-")[0], _UNITS["en"]).get(unit, unit)


def activity_word(type: str, locale: str) -> str:
    """What somebody did, in words; the type itself where we have none."""
    return _ACTIVITIES.get(locale.split("-")[0], _ACTIVITIES["en"]).get(type, type)
