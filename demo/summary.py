"""What came of a replay, read back through the public API, so that a person can check it."""

from dataclasses import asdict, dataclass
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table

TOP = 10
PAGE = 200


@dataclass(frozen=True, slots=True)
class Place:
    rank: int
    member: str
    score: int


@dataclass(frozen=True, slots=True)
class Summary:
    """`issued` is unit → all that was ever given; `on_board` is the sum of every line of the board `xp`.

    `sums_agree` says that the two are equal for xp: what rules gave is what members have, counted on two ways.
    """

    name: str
    sent: int
    rejected: int
    stored: int
    duplicates: int
    seconds: float
    members: int
    issued: dict[str, int]
    on_board: int
    top: tuple[Place, ...]

    @property
    def sums_agree(self) -> bool:
        return self.issued.get("xp", 0) == self.on_board

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "sums_agree": self.sums_agree}


async def summarise(http: httpx2.AsyncClient, *, name: str, sent: int, rejected: int, seconds: float) -> Summary:
    """Ask the platform; HTTPStatusError when it refuses."""
    report = await _get(http, f"/v1/imports/{name}")
    units = await _get(http, "/v1/units")
    lines, total = await _board(http)
    return Summary(
        name=name,
        sent=sent,
        rejected=rejected,
        stored=report["stored"],
        duplicates=max(0, sent - rejected - report["stored"]),
        seconds=round(seconds, 1),
        members=total,
        issued={unit["id"]: unit["issued"] for unit in units["items"]},
        on_board=sum(line["score"] for line in lines),
        top=tuple(Place(line["rank"], line["display_name"], line["score"]) for line in lines[:TOP]),
    )


async def _board(http: httpx2.AsyncClient) -> tuple[list[dict[str, Any]], int]:
    """Every line of the all-time board, and how many members it says it has."""
    lines: list[dict[str, Any]] = []
    page = await _get(http, "/v1/boards/xp", period="all", limit=PAGE)
    while True:
        lines += page["items"]
        if page["next"] is None:
            return lines, page["total"]
        page = await _get(http, "/v1/boards/xp", period="all", limit=PAGE, cursor=page["next"])


async def _get(http: httpx2.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    reply = await http.get(path, params=query)
    reply.raise_for_status()
    body: dict[str, Any] = reply.json()
    return body


def print_summary(console: Console, summary: Summary) -> None:
    """A table of the first ten, and the figures around it."""
    rate = summary.sent / summary.seconds if summary.seconds else 0
    console.print(f"\n[bold]{summary.sent:,}[/bold] events sent in {summary.seconds:.1f} s ({rate:,.0f}/s)")
    console.print(
        f"  stored {summary.stored:,}, sent twice and counted once {summary.duplicates:,}, refused {summary.rejected:,}"
    )
    given = ", ".join(f"{amount:,} {unit}" for unit, amount in sorted(summary.issued.items()))
    console.print(f"  given: {given}, to {summary.members:,} members")
    agree = "equal" if summary.sums_agree else "NOT equal: this is a bug"
    console.print(
        f"  all lines of the board add up to {summary.on_board:,} xp, the ledger gave out "
        f"{summary.issued.get('xp', 0):,} xp: {agree}",
        soft_wrap=True,
    )
    table = Table(title="The board of all time", title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("member")
    table.add_column("xp", justify="right")
    for place in summary.top:
        table.add_row(str(place.rank), place.member, f"{place.score:,}")
    console.print(table)
