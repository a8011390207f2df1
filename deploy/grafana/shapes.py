"""What a dashboard is made of, and queries that are written again and again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what a line of its result is called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is one of Grafana's ids; `now` shows the last value instead of the course."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    now: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def rate(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (rate({metric}[$__rate_interval]))"


def share(part: str, whole: str, *by: str) -> str:
    """0 where there is none of the part: a series that never came to be would leave the panel empty."""
    return f"({rate(part, *by)} or 0 * {rate(whole, *by)}) / {rate(whole, *by)}"


def quantile(q: float, histogram: str, *by: str) -> str:
    return f"histogram_quantile({q}, {rate(histogram, 'le', *by)})"
