"""docs/doctor.md says what is looked at, and with which tolerances."""

from pathlib import Path

from kit.service import Audit
from services.commands.doctor import clocks, databases, files
from services.compose import SERVICES
from tests.commands.doctor.conftest import Look

PAGE = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()


async def test_every_check_is_on_the_page(look: Look) -> None:
    names = {name.partition(":")[0] for name in await look()} | {"kafka", "spool", "topics", "clock"}
    missing = [name for name in sorted(names) if f"| `{name}" not in PAGE]
    audits: list[tuple[str, Audit]] = [(service.name, audit) for service in SERVICES for audit in service.audits]
    assert audits
    missing += [f"books:{name}:{a.name}" for name, a in audits if f"`books:{name}:{a.name}`" not in PAGE]
    assert not missing


def test_the_tolerances_on_the_page_are_those_of_the_code() -> None:
    lines = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    assert f"more than {clocks.WARNING.seconds} s apart" in lines["clock"]
    assert f"more than {clocks.FAILED.seconds} s apart" in lines["clock"]
    assert f"less than {files.WARNING_BYTES >> 30} GiB" in lines["disk"]
    assert f"less than {files.FAILED_BYTES >> 20} MiB" in lines["disk"]
    assert f"more than {databases.OUTBOX_FAILED / 60:g} minutes" in lines["outbox:…"]
    assert f"older than {databases.OLDEST_POSTGRES}" in lines["database:…"]
    assert f"{databases.BOOKS_FACTOR} times" in lines["--books"]
