"""docker-compose.yml as an operator gets it: valid, bounded, without a password in it, refused without `.env`."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from deploy.compose_env import environment, make
from kit.settings import PREFIX, Settings
from services.compose import SERVICES
from tests.support.require import missing

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
OURS = {"migrate", *(service.name for service in SERVICES)}
MOST_MIB = 2048


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def compose_config(
    variables: Mapping[str, str], directory: Path, settings: str = ""
) -> "subprocess.CompletedProcess[str]":
    """What Compose makes of the file, with these lines in settings.env."""
    program = shutil.which("docker-compose")
    if program is None:
        missing("docker-compose", "it comes with the package docker-compose")
    (directory / "settings.env").write_text(settings)
    # It is a program of the system's own Python, which must not find our packages.
    plain = {k: v for k, v in os.environ.items() if k not in environment() and k != "PYTHONPATH"}
    command = [program, "--project-directory", str(directory), "-f", str(COMPOSE), "config"]
    return subprocess.run(command, env={**plain, **variables}, capture_output=True, text=True, check=False)


def test_compose_takes_the_file_once_the_variables_are_made(tmp_path: Path) -> None:
    done = compose_config(environment(), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variable", environment())
def test_compose_refuses_without_any_one_of_them_and_says_what_to_run(variable: str, tmp_path: Path) -> None:
    given = {name: value for name, value in environment().items() if name != variable}
    done = compose_config(given, tmp_path)
    assert done.returncode != 0
    assert "run make compose-env" in done.stderr


def test_a_line_in_settings_env_is_a_setting_of_every_process_of_ours(tmp_path: Path) -> None:
    done = compose_config(environment(), tmp_path, settings="GUILDHALL_LOG_RETENTION_DAYS=14\n")
    made = yaml.safe_load(done.stdout)["services"]
    told = {name for name, one in made.items() if "GUILDHALL_LOG_RETENTION_DAYS" in one.get("environment", {})}
    assert told == OURS


def test_everything_is_there() -> None:
    assert services().keys() == OURS | {"gateway", "postgres", "kafka", "prometheus", "grafana"}


def test_memory_is_bounded_for_each_and_in_total() -> None:
    """The migration has ended before services start."""
    limits = {name: one["deploy"]["resources"]["limits"]["memory"] for name, one in services().items()}
    assert all(re.fullmatch(r"\d+M", limit) for limit in limits.values()), limits
    assert sum(int(limit[:-1]) for name, limit in limits.items() if name != "migrate") < MOST_MIB


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_write_nothing_and_may_do_nothing(name: str) -> None:
    one = services()[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["image"] == services()["members"]["image"]
    # But for what the door took while Kafka was away, which must outlive the container, and for the files in which
    # simulations are worked out, which are too large for memory.
    assert one.get("volumes", []) == {"events": ["spool:/data"], "rewards": ["plans:/data"]}.get(name, [])


def test_each_container_says_whether_it_is_well() -> None:
    """Ours by the image's own check; the migration job by its exit code."""
    without = {name for name, one in services().items() if "healthcheck" not in one}
    assert without == OURS - {"migrate"}
    assert "HEALTHCHECK" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_services_start_after_the_migration_and_the_broker() -> None:
    for name in OURS - {"migrate"}:
        assert services()[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "kafka": {"condition": "service_healthy"},
        }
        assert services()[name]["command"] == ["serve", name]


def test_what_is_not_the_gateways_is_published_to_this_machine_only() -> None:
    published = {name: port for name, one in services().items() for port in one.get("ports", [])}
    assert published.keys() == {"gateway", "prometheus", "grafana"}
    assert all("127.0.0.1" in port for port in published.values()), published


def test_data_is_in_named_volumes() -> None:
    named = yaml.safe_load(COMPOSE.read_text())["volumes"].keys()
    used = {
        volume.split(":")[0]
        for one in services().values()
        for volume in one.get("volumes", [])
        if not volume.startswith("./")
    }
    assert used == named == {"postgres", "kafka", "spool", "plans", "prometheus", "grafana"}
    for one in services().values():
        for volume in one.get("volumes", []):
            assert not volume.startswith("./") or volume.endswith(":ro"), volume


def test_no_password_stands_in_the_file() -> None:
    for name, one in services().items():
        for variable, value in one.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|DATABASE_URL", variable):
                assert re.search(r"\$\{\w+:\?run make compose-env\}", value), f"{name}: {variable}"


def test_every_setting_in_it_is_one_of_ours() -> None:
    """An unknown one refuses to boot."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {v for name in OURS for v in services()[name]["environment"]}
    assert given <= known


def test_secrets_are_made_once_for_the_owners_eyes_and_are_long(tmp_path: Path) -> None:
    make(tmp_path)
    env, pem = tmp_path / ".env", tmp_path / "deploy" / "gateway" / "tls" / "gateway.pem"
    made = (env, pem, tmp_path / "settings.env")
    before = [path.read_bytes() for path in made]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    values = dict(line.split("=", 1) for line in env.read_text().splitlines())
    assert all(len(values[name]) >= 32 for name in ("POSTGRES_PASSWORD", "GUILDHALL_SECRET_KEY", "GRAFANA_PASSWORD"))
    certificate = x509.load_pem_x509_certificate(before[1])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    make(tmp_path)
    assert [path.read_bytes() for path in made] == before


def test_two_installations_share_no_secret() -> None:
    one, other = environment(), environment()
    assert all(one[name] != other[name] for name in one if name != "GUILDHALL_UID")


def test_git_never_sees_them() -> None:
    for path in (".env", "settings.env", "deploy/gateway/tls/gateway.pem"):
        done = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
        assert done.returncode == 0, path
    assert "**/tls" in (ROOT / ".dockerignore").read_text()


def test_prometheus_looks_where_compose_puts_the_processes() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "targets" / "guildhall.yml").read_text())
    found = {group["labels"]["process"]: group["targets"] for group in groups}
    assert found == {service.name: [f"{service.name}:8000"] for service in SERVICES}
