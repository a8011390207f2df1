"""Recorded communities for tests. They are not part of the project; where they are missing, tests say so by name."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.events.importers import read_events

FOLDER = Path(os.environ.get("GUILDHALL_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FILES = {
    "qa-site": "qa-site/events.jsonl.gz",
    "large-chat": "large-chat/events-2021-2022.jsonl.gz",
    "small-chat": "small-chat/events.jsonl.gz",
    "checkin-programme": "checkin-programme/events.jsonl.gz",
}


def has(name: str) -> bool:
    return (FOLDER / FILES[name]).exists()


def path_of(name: str) -> Path:
    """The file of a recorded community; skips the test when it is not there."""
    if not has(name):
        pytest.skip(f"recorded data {FILES[name]} not found; set GUILDHALL_TEST_DATA to the folder that holds it")
    return FOLDER / FILES[name]


@cache
def activities_of(name: str) -> list[dict[str, Any]]:
    """Its activities as they are posted."""
    return list(read_events(path_of(name)))
