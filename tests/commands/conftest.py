"""A stopped embedded installation."""

import shutil
from pathlib import Path

import pytest

from kit.contracts import ACTIVITY_TOPIC
from kit.log import Record
from kit.log.embedded import EmbeddedLog
from kit.runtime import topics
from kit.settings import load_settings
from services.compose import SERVICES
from tests.support.databases import _template_sqlite


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
