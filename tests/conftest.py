"""Fixtures shared by all tests. Helpers live in tests/support; nothing imports from here."""

import os
import sys

from hypothesis import HealthCheck, settings

# The suite starts processes by the hundred: where the environment says to keep no compiled modules, each would compile
# all of the product for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How fast a machine is fails no test. A fixture is shared by all examples of a property: those that use one know it.
settings.register_profile(
    "guildhall",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("guildhall")

pytest_plugins = [
    "tests.support.clock",
    "tests.support.postgres",
    "tests.support.kafka",
    "tests.support.databases",
    "tests.support.platform",
    "tests.support.gateway",
    "tests.support.network",
]
