"""A stopped embedded installation, and a way to have it looked at."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kit.contracts import ACTIVITY_TOPIC
from kit.log import Record
from kit.log.embedded import EmbeddedLog
from kit.runtime import topics
from kit.settings import load_settings
from services.commands.doctor.examining import examine
from services.commands.doctor.findings import Finding, State
from services.compose import SERVICES
from tests.support.databases import _template_sqlite

Look = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
async def data_dir(tmp_path: Path, sqlite_templates: Path) -> Path:
    """All files of an installation with a record on its log; no process holds them."""
    directory = tmp_path / "data"
    directory.mkdir()
    for service in SERVICES:
        shutil.copy(await _template_sqlite(service, sqlite_templates), directory)
    log = EmbeddedLog(directory / "log.sqlite")
    await log.start()
    await log.ensure(topics(load_settings({})))
    await log.append(ACTIVITY_TOPIC, [Record(b"key", b"value")])
    await log.stop()
    (directory / "secret").touch(mode=0o600)
    (directory / "secret").write_text("s" * 64)
    return directory


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
