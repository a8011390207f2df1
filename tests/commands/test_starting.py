"""A command imports what it needs: an operator waits for every module of every process, and a replica holds them."""

import subprocess
import sys
from collections.abc import Iterable

import pytest

from services.__main__ import COMMANDS, cli
from services.declarations import NAMES

HEAVY = ("fastapi", "sqlalchemy", "pydantic", "alembic", "aiokafka", "asyncpg", "structlog")


def imported(code: str, looked_for: Iterable[str]) -> set[str]:
    """Which of these modules a process has after it ran the code."""
    says = "import sys; sys.stdout.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{says}"], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("\n")[2].split()) & set(looked_for)


def loaded(command: str) -> str:
    return f"from services.__main__ import cli; cli.commands[{command!r}].load()"


def test_the_list_of_commands_needs_none_of_them() -> None:
    listing = "from services.__main__ import cli; cli(['--help'], standalone_mode=False)"
    places = {place.partition(":")[0] for place, _ in COMMANDS.values()}
    assert imported(listing, [*HEAVY, *places, *(f"services.{name}.service" for name in NAMES)]) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_list_says_of_a_command_is_how_its_own_help_begins(command: str) -> None:
    _, line = COMMANDS[command]
    own = cli.commands[command].load().help  # type: ignore[attr-defined]
    assert " ".join(own.split()).startswith(line.rstrip(".")), own


@pytest.mark.parametrize("service", NAMES)
def test_a_service_served_alone_holds_no_other_and_nothing_that_only_migrations_need(service: str) -> None:
    composed = (
        f"{loaded('serve')}\n"
        "from pathlib import Path\n"
        "from kit.settings import load_settings\n"
        "from services.commands.starting import web_app\n"
        "from services.compose import BY_NAME, compose\n"
        "settings = load_settings({}, data_dir=Path('never'), secret_key='s' * 32)\n"
        f"web_app(compose(settings, [BY_NAME[{service!r}]]))"
    )
    modules = {f"services.{name}.{layer}" for name in NAMES for layer in ("service", "api", "handlers", "tables")}
    own = {f"services.{service}.{layer}" for layer in ("service", "api", "handlers", "tables")}
    assert imported(composed, [*modules, "alembic", "demo", "services.commands.doctor"]) == own


def test_migrating_needs_the_tables_of_the_services_and_not_their_code() -> None:
    code = {f"services.{name}.{layer}" for name in NAMES for layer in ("service", "api", "handlers")}
    assert imported(loaded("migrate"), [*code, "fastapi", "alembic"]) == set()


def test_the_gateway_is_told_prefixes_without_the_services() -> None:
    assert imported(loaded("gateway-config"), [f"services.{name}.service" for name in NAMES]) == set()
