"""A way to have the stopped installation looked at."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.commands.doctor.examining import examine
from services.commands.doctor.findings import Finding, State
from services.compose import SERVICES

Look = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
def look(data_dir: Path) -> Look:
    """`found = await look(setting="value", …)`: findings by name; of several with one name the worst."""

    async def look(*, books: bool = False, seconds: float = 30.0, **settings: str) -> dict[str, Finding]:
        environ = {f"GUILDHALL_{name.upper()}": value for name, value in settings.items()}
        environ.setdefault("GUILDHALL_DATA_DIR", str(data_dir))
        found, hanging = await examine(SERVICES, seconds=seconds, books=books, environ=environ)
        assert not hanging
        return by_name(found)

    return look


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    order = [State.OK, State.WARNING, State.FAILED]
    return {one.name: one for one in sorted(findings, key=lambda one: order.index(one.state))}
