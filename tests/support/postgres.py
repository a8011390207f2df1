"""A real PostgreSQL server for the session."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.postgres import PostgresMissing, PostgresServer
from tests.support.require import missing


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer | str]:
    """The server, or why there is none."""
    try:
        server = PostgresServer(Path(tempfile.mkdtemp(prefix="guildhall-pg-")) / "data", fsync=False)
        server.start()
    except (PostgresMissing, RuntimeError, OSError) as error:
        yield str(error)
        return
    yield server
    server.quit()
    # A database for every test makes a million files: removing them takes minutes, for which nobody need wait.
    subprocess.Popen(["rm", "-rf", str(server.directory.parent)], start_new_session=True)


@pytest.fixture
def postgres_server(_postgres: PostgresServer | str) -> PostgresServer:
    """A running server; the test is skipped, or fails where it is required, when none can be had."""
    if isinstance(_postgres, str):
        missing("postgres", _postgres)
    return _postgres
