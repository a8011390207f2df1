"""The two constructor calls that decide embedded or split: what the settings name is opened, and nothing connected."""

from pathlib import Path

from sqlalchemy import MetaData

from kit.clock import Clock, system_clock
from kit.database import Database, open_database
from kit.log import Log
from kit.log.embedded import EmbeddedLog
from kit.log.kafka import KafkaLog, Security
from kit.settings import Settings, SettingsError


def open_log(settings: Settings, clock: Clock = system_clock) -> Log:
    """Kafka where the settings name brokers, else one file in the data directory."""
    if settings.kafka:
        return KafkaLog(
            settings.kafka,
            security=kafka_security(settings),
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
            client_id="guildhall",
            prefix=settings.kafka_prefix,
        )
    return EmbeddedLog(settings.data_dir / "log.sqlite", clock=clock)


def spool_path(settings: Settings) -> Path:
    """Where the events service keeps what Kafka has not taken."""
    return settings.data_dir / "spool.sqlite"


def kafka_security(settings: Settings) -> Security:
    """How brokers are reached. SettingsError when the certificates of the authorities cannot be used."""
    security = Security(
        tls=settings.kafka_tls,
        tls_ca=settings.kafka_tls_ca,
        sasl=settings.kafka_sasl,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
    )
    try:
        _ = security.arguments
    except OSError as error:
        # Now, with the name of the setting: the error itself names no file.
        raise SettingsError(f"GUILDHALL_KAFKA_TLS_CA: {settings.kafka_tls_ca}: {error}") from error
    return security


def open_service_database(
    settings: Settings,
    name: str,
    metadata: MetaData,
    publishes: frozenset[type],
    clock: Clock = system_clock,
    *,
    read_only: bool = False,
) -> Database:
    return open_database(
        name,
        clock,
        metadata=metadata,
        publishes=publishes,
        url=settings.database_url,
        directory=settings.data_dir,
        pool=settings.database_pool,
        read_only=read_only,
    )
