"""Fixtures shared by all tests. Helpers live in tests/support; nothing imports from here."""

pytest_plugins = [
    "tests.support.clock",
    "tests.support.postgres",
    "tests.support.kafka",
    "tests.support.databases",
    "tests.support.platform",
    "tests.support.gateway",
    "tests.support.network",
]
