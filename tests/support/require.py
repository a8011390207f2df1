"""Engines a test needs: skipped by name where they cannot be had, a failure where `GUILDHALL_REQUIRE` names them."""

import os
from typing import NoReturn

import pytest


def missing(engine: str, reason: str) -> NoReturn:
    """End the test: `engine` (postgres, kafka, promtool, chromium, data …) is not here."""
    required = {name.strip() for name in os.environ.get("GUILDHALL_REQUIRE", "").split(",")}
    if engine in required:
        pytest.fail(f"{engine} is required (GUILDHALL_REQUIRE) but cannot be had: {reason}", pytrace=False)
    pytest.skip(f"{engine}: {reason}")
