"""A broker that demands TLS and a password: who has both works as ever, who lacks one is told, no password is shown."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.certificates import make_certificates
from deploy.local.kafka import Demands, KafkaBroker
from kit.log import LogUnavailable
from kit.log.kafka import KafkaLog, Security, adapter
from kit.settings import SettingsError, load_settings
from services.engines import kafka_security, open_log
from tests.kit.log.support import next_to_read, read, records, topic, values
from tests.support.require import missing

SECRET = "correct-horse-battery"
SPLIT = {"GUILDHALL_DATABASE_URL": "postgresql+asyncpg://u@h/d", "GUILDHALL_KAFKA": "h:9092"}


@pytest.fixture(scope="module", params=["SCRAM-SHA-256", "SCRAM-SHA-512"])
def demanding(
    request: pytest.FixtureRequest, _kafka: KafkaBroker | str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaBroker]:
    """A broker for this file; skipped, or failed where one is required, when none can be had."""
    if isinstance(_kafka, str):
        missing("kafka", _kafka)
    broker = KafkaBroker(
        tmp_path_factory.mktemp("demanding") / "broker", demands=Demands({"guildhall": SECRET}, request.param)
    )
    broker.start()
    yield broker
    broker.stop()


def environment(broker: KafkaBroker, **more: str) -> dict[str, str]:
    assert broker.demands is not None
    return {
        **SPLIT,
        "GUILDHALL_KAFKA": broker.bootstrap,
        "GUILDHALL_KAFKA_PARTITIONS": "2",
        "GUILDHALL_KAFKA_TLS": "true",
        "GUILDHALL_KAFKA_TLS_CA": str(broker.ca),
        "GUILDHALL_KAFKA_SASL": broker.demands.mechanism,
        "GUILDHALL_KAFKA_USERNAME": "guildhall",
        "GUILDHALL_KAFKA_PASSWORD": SECRET,
        **more,
    }


async def test_with_certificate_and_password_everything_works_and_the_password_is_nowhere(
    demanding: KafkaBroker, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = load_settings(environment(demanding))
    log = open_log(settings)
    await log.start()
    try:
        things = await topic(log)
        await log.append(things, records(100))
        member = await log.subscribe("g", [things])
        got = await read(member, 100)
        await member.commit(next_to_read(got))
        assert sorted(values(got)) == list(range(100))
        assert not any((await log.lag("g", [things])).values())
        await log.check()
    finally:
        await log.stop()
    shown = caplog.text + "".join(capsys.readouterr()) + repr(settings) + repr(kafka_security(settings))
    assert SECRET not in shown


@pytest.mark.parametrize(
    "lacking",
    [
        {"GUILDHALL_KAFKA_PASSWORD": "wrong-horse"},
        {"GUILDHALL_KAFKA_USERNAME": "nobody"},
        {"GUILDHALL_KAFKA_SASL": "", "GUILDHALL_KAFKA_USERNAME": "", "GUILDHALL_KAFKA_PASSWORD": ""},
        {"GUILDHALL_KAFKA_TLS_CA": "another"},
    ],
    ids=["wrong password", "unknown user", "no password", "another authority"],
)
async def test_who_lacks_one_of_them_is_not_let_in_and_told_within_bounds(
    demanding: KafkaBroker,
    lacking: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(adapter, "START_SECONDS", 1.0)
    if lacking.get("GUILDHALL_KAFKA_TLS_CA"):
        lacking = {"GUILDHALL_KAFKA_TLS_CA": str(make_certificates(tmp_path / "another").authority)}
    log = open_log(load_settings(environment(demanding, **lacking)))
    with pytest.raises(LogUnavailable, match="refuses us"):
        await log.start()
    await log.stop()
    assert SECRET not in caplog.text


async def test_a_plain_connection_is_not_let_in(demanding: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "START_SECONDS", 1.0)
    log = KafkaLog(demanding.bootstrap)
    with pytest.raises(LogUnavailable):
        await log.start()
    await log.stop()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TLS": "true", "SASL": "SCRAM-SHA-512", "USERNAME": "u"}, "go together"),
        ({"PASSWORD": "p"}, "go together"),
        ({"SASL": "SCRAM-SHA-512", "USERNAME": "u", "PASSWORD": "p"}, "need GUILDHALL_KAFKA_TLS"),
        ({"TLS_CA": "/etc/ca.pem"}, "need GUILDHALL_KAFKA_TLS"),
        ({"TLS": "true", "SASL": "PLAIN"}, "GUILDHALL_KAFKA_SASL"),
    ],
)
def test_settings_that_contradict_each_other_refuse_to_boot(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings({**SPLIT, **{f"GUILDHALL_KAFKA_{name}": value for name, value in given.items()}})


def test_an_authority_file_that_is_none_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificate\n")
        settings = load_settings({**SPLIT, "GUILDHALL_KAFKA_TLS": "true", "GUILDHALL_KAFKA_TLS_CA": str(path)})
        with pytest.raises(SettingsError, match=rf"GUILDHALL_KAFKA_TLS_CA: .*{path.name}"):
            open_log(settings)


def test_a_security_with_a_password_does_not_print_it() -> None:
    assert "hidden" not in repr(Security(tls=True, sasl="SCRAM-SHA-512", username="u", password="hidden"))
