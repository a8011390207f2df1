"""Which series a PromQL expression asks for: enough of the language for the project's own rules and dashboards."""

import re
from dataclasses import dataclass

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]")
_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\}|\()?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "inf", "nan"}


@dataclass(frozen=True, slots=True)
class Series:
    """A name with its label matchers: (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()


def series_of(expr: str) -> list[Series]:
    """Every selector of the expression, in order."""
    bare = _RANGE.sub("", _GROUPING.sub("", expr))
    outside = _STRING.sub(lambda found: found[0].replace("(", " ").replace("}", " "), bare)
    out = []
    for found in _SERIES.finditer(outside):
        name, rest = found[1], found[2] or ""
        if rest == "(" or name.lower() in _WORDS or _within_braces_or_string(outside, found.start()):
            continue
        out.append(Series(name, tuple(_MATCHER.findall(rest))))
    return out


def _within_braces_or_string(text: str, position: int) -> bool:
    before = text[:position]
    return before.count('"') % 2 == 1 or before.count("{") > before.count("}")


def grouping_labels(expr: str) -> set[str]:
    """The labels that `by (…)` and its like name."""
    return {label.strip() for _, labels in _GROUPING.findall(expr) for label in labels.split(",") if label.strip()}
