"""Settings: typed, documented, and refused when misspelt (K7)."""

from pathlib import Path

import pytest

from kit.runtime import WiringError, with_secret
from kit.settings import SettingsError, load_settings

SPLIT = {"GUILDHALL_DATABASE_URL": "postgresql+asyncpg://u@h/d", "GUILDHALL_KAFKA": "h:9092"}


def test_without_any_variable_it_is_embedded() -> None:
    settings = load_settings({})
    assert settings.embedded
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("data"))


def test_a_variable_is_taken_by_its_name_and_type() -> None:
    settings = load_settings(
        {"GUILDHALL_PORT": "0", "GUILDHALL_STOP_SECONDS": "2.5", "GUILDHALL_DATA_DIR": "/x", "PATH": ""}
    )
    assert (settings.port, settings.stop_seconds, settings.data_dir) == (0, 2.5, Path("/x"))


def test_what_the_caller_says_goes_before_the_environment_and_none_says_nothing() -> None:
    environ = {"GUILDHALL_PORT": "1000", "GUILDHALL_LOG_LEVEL": "debug"}
    settings = load_settings(environ, port=2000, log_level=None)
    assert (settings.port, settings.log_level) == (2000, "debug")


def test_an_unknown_setting_refuses_to_boot_and_is_named() -> None:
    with pytest.raises(SettingsError, match=r"GUILDHALL_MAX_BODY_BYTE, GUILDHALL_PROT.*docs/settings.md"):
        load_settings({"GUILDHALL_PROT": "1", "GUILDHALL_MAX_BODY_BYTE": "1"})


def test_the_variables_of_the_test_suite_and_of_clients_are_let_through() -> None:
    load_settings(
        {
            "GUILDHALL_TEST_DATA": "x",
            "GUILDHALL_REQUIRE": "kafka",
            "GUILDHALL_CRASH_SEED": "1",
            "GUILDHALL_API_KEY": "k",
        }
    )


def test_every_wrong_value_is_told_at_once_by_its_variable() -> None:
    wrong = {"GUILDHALL_PORT": "70000", "GUILDHALL_KAFKA_PARTITIONS": "none", "GUILDHALL_LOG_LEVEL": "loud"}
    with pytest.raises(SettingsError) as refused:
        load_settings(wrong)
    assert {line.partition(":")[0] for line in str(refused.value).splitlines()} == set(wrong)


@pytest.mark.parametrize("one", sorted(SPLIT))
def test_a_database_server_and_a_broker_go_together(one: str) -> None:
    with pytest.raises(SettingsError, match="go together"):
        load_settings({one: SPLIT[one]})
    assert not load_settings(SPLIT).embedded


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 32"):
        load_settings({"GUILDHALL_SECRET_KEY": "short"})


def test_an_embedded_installation_makes_its_secret_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path / "data")
    first = with_secret(settings).secret_key
    assert len(first) >= 32
    assert with_secret(settings).secret_key == first
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600
    assert with_secret(load_settings({}, data_dir=tmp_path / "other")).secret_key != first


def test_replicas_must_be_given_the_secret_they_share() -> None:
    with pytest.raises(WiringError, match="GUILDHALL_SECRET_KEY is not set"):
        with_secret(load_settings(SPLIT))
    assert with_secret(load_settings(SPLIT, secret_key="s" * 32)).secret_key == "s" * 32
