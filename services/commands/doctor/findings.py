"""What was found: one line each, with what to do about it, for a person or for a machine."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.console import Console


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """`do` is empty where nothing need be done."""

    name: str
    state: State
    found: str
    do: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, State.OK, found)


def warning(name: str, found: str, do: str) -> Finding:
    return Finding(name, State.WARNING, found, do)


def failed(name: str, found: str, do: str) -> Finding:
    return Finding(name, State.FAILED, found, do)


def count(findings: Sequence[Finding], state: State) -> int:
    return sum(finding.state is state for finding in findings)


def passed(findings: Sequence[Finding], *, strict: bool) -> bool:
    """Whether there is nothing to mend; `strict` counts warnings too."""
    worst = {State.FAILED, State.WARNING} if strict else {State.FAILED}
    return not any(finding.state in worst for finding in findings)


def described(findings: Sequence[Finding], *, strict: bool) -> dict[str, Any]:
    """For `--json`."""
    return {
        "ok": passed(findings, strict=strict),
        "failed": count(findings, State.FAILED),
        "warnings": count(findings, State.WARNING),
        "checks": [asdict(finding) for finding in findings],
    }


_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}


def show(findings: Sequence[Finding]) -> None:
    """A line for each on standard output, what to do beneath it, and the sum of it all."""
    out = Console(highlight=False, soft_wrap=True)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        out.print(f"{finding.state:<8}", style=_STYLES[finding.state], end="")
        out.print(f"{finding.name:<{width}}  {finding.found}", markup=False)
        if finding.do:
            out.print(f"{'':<8}{'':<{width}}  -> {finding.do}", markup=False)
    wrong, doubtful = count(findings, State.FAILED), count(findings, State.WARNING)
    out.print(f"{len(findings)} checks: {wrong} failed, {doubtful} warnings", markup=False)
