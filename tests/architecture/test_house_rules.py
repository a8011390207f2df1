"""The rules of the house that a machine can check."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("kit", "services", "console", "demo", "deploy", "bench")
SERVICE_NAMES = ("members", "events", "rewards", "notify")


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in python_files(*SOURCES, "tests")
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long, f"split by feature into a package of the same name: {long}"


def test_one_file_imports_the_kafka_client() -> None:
    importers = {
        p.relative_to(ROOT).as_posix()
        for p in python_files(*SOURCES)
        if any(i.split(".")[0] == "aiokafka" for i in imports_of(p))
    }
    assert all(name.startswith("kit/log/kafka") for name in importers), importers


def test_no_service_commits_by_itself() -> None:
    offenders = [str(p) for p in python_files("services") if re.search(r"\.commit\(\)|\.rollback\(\)", p.read_text())]
    assert not offenders


def test_no_service_asks_which_engine_it_runs_on() -> None:
    """`services/compose.py` and the commands are the composition root; nobody else may know."""
    files = [p for name in SERVICE_NAMES for p in python_files(f"services/{name}")]
    asking = re.compile(r"\.dialect\b|sqlite|\.embedded\b|isinstance\([^)]*(Kafka|Embedded)Log", re.IGNORECASE)
    allowed = re.compile(r"with_variant|sqlite_|postgresql_")
    offenders = {
        f"{p.relative_to(ROOT)}:{number}"
        for p in files
        for number, line in enumerate(p.read_text().splitlines(), 1)
        if asking.search(line) and not allowed.search(line) and not line.lstrip().startswith(("#", '"', "*"))
    }
    assert not {o for o in offenders if "migrations" not in o}, offenders


def test_only_the_clock_and_the_days_turn_time_into_anything() -> None:
    """`kit/clock.py` asks the system for the time, `kit/days.py` turns instants into days; nobody else (K40)."""
    forbidden = re.compile(r"utcnow\(|datetime\.now\(|date\.today\(|time\.time\(\)|\.date\(\)")
    offenders = [
        f"{p.relative_to(ROOT)}:{number}: {line.strip()}"
        for p in python_files("kit", "services", "console")
        if p.relative_to(ROOT).as_posix() not in ("kit/clock.py", "kit/days.py")
        for number, line in enumerate(p.read_text().splitlines(), 1)
        if forbidden.search(line)
    ]
    assert not offenders, offenders


def test_domains_are_pure_standard_library_without_await() -> None:
    import sys

    allowed = set(sys.stdlib_module_names) | {"kit", "services"}
    for name in SERVICE_NAMES:
        base = ROOT / "services" / name
        files = [base / "domain.py"] if (base / "domain.py").exists() else sorted((base / "domain").rglob("*.py"))
        assert files, f"{name} has no domain"
        for path in files:
            modules = imports_of(path)
            assert {m.split(".")[0] for m in modules} <= allowed, (path, modules)
            kit = {m for m in modules if m.startswith("kit")}
            assert all(
                m.startswith(("kit.days", "kit.errors", "kit.contracts", "kit.clock", "kit.ids")) for m in kit
            ), (path, kit)
            assert "await" not in path.read_text().split(), f"{path} awaits"


def test_every_service_has_the_same_files() -> None:
    for name in SERVICE_NAMES:
        there = {p.stem if p.is_file() else p.name for p in (ROOT / "services" / name).iterdir()}
        wanted = {"service", "api", "handlers", "domain", "store", "tables", "migrations", "README"}
        assert wanted <= there, f"{name} lacks {wanted - there}"


@pytest.mark.parametrize("pattern", ["NotImplementedError", r"\bTODO\b", r"\bFIXME\b", r"\bXXX\b"])
def test_nothing_is_left_for_later(pattern: str) -> None:
    here = Path(__file__)
    found = [str(p) for p in python_files(*SOURCES, "tests") if p != here and re.search(pattern, p.read_text())]
    assert not found


def test_nothing_of_a_machine_or_a_package_registry_is_in_the_tree() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    # Assembled, so that this file does not contain what it looks for.
    forbidden = [
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "repo1.maven" + ".org",
        "registry.npmjs" + ".org",
        "index-" + "url",
        "/ro" + "ot/",
        str(ROOT.parent) + "/",
    ]
    for name in tracked:
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".gz"):
            text = path.read_text(errors="replace")
            assert not [f for f in forbidden if f in text], name
