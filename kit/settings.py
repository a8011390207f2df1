"""Every setting of the platform: one typed place, environment variables `GUILDHALL_*`, documented in docs/settings.md.

An unknown `GUILDHALL_*` variable refuses to boot: a misspelt limit that is silently ignored is worse than none.
`GUILDHALL_TEST_*`, `GUILDHALL_REQUIRE` and `GUILDHALL_CRASH_*` belong to the test suite, `GUILDHALL_API_KEY` to the
commands that talk to a running installation: all are let through.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kit.fonts import is_font

PREFIX = "GUILDHALL_"
NOT_SETTINGS = ("GUILDHALL_TEST_", "GUILDHALL_REQUIRE", "GUILDHALL_CRASH_", "GUILDHALL_API_KEY")


class SettingsError(Exception):
    """The settings cannot be used; the message names each one and what is wrong with it."""


class Settings(BaseSettings):
    """`database_url` and `kafka` empty mean embedded: SQLite files and a log file under `data_dir`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Field(Path("data"), description="Where the embedded installation keeps its files.")
    database_url: str = Field(
        "", description="`postgresql+asyncpg://…` for PostgreSQL; empty for SQLite in `data_dir`."
    )
    kafka: str = Field("", description="Kafka bootstrap servers `host:port,…`; empty for the embedded log.")
    kafka_partitions: int = Field(12, ge=1, le=1024, description="Partitions of a topic that is created on Kafka.")
    kafka_replication: int = Field(1, ge=1, le=9, description="Replication factor of a topic that is created on Kafka.")
    kafka_prefix: str = Field(
        "", max_length=60, pattern=r"^[A-Za-z0-9._-]*$", description="Put before topic and group names on Kafka."
    )
    kafka_tls: bool = Field(False, description="Talk to Kafka over TLS and check the brokers' certificates.")
    kafka_tls_ca: str = Field(
        "", description="PEM file of the authorities that sign the brokers; empty: those the system trusts."
    )
    kafka_sasl: str = Field(
        "",
        pattern="^(|SCRAM-SHA-256|SCRAM-SHA-512)$",
        description="Sign in to Kafka with `SCRAM-SHA-256` or `SCRAM-SHA-512`; empty: do not sign in.",
    )
    kafka_username: str = Field("", description="Who signs in to Kafka.")
    kafka_password: SecretStr = Field(SecretStr(""), description="The password of `GUILDHALL_KAFKA_USERNAME`.")
    spool_mb: int = Field(
        256,
        ge=0,
        le=1024 * 1024,
        description="Most megabytes of activities taken into `data_dir` while Kafka is away; 0: none, the door is "
        "closed then.",
    )
    host: str = Field("127.0.0.1", description="Address the HTTP server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the HTTP server listens on; 0 takes a free one.")
    public_url: str = Field("", description="Address people and bots use, when it is not the one listened on.")
    certificate_font: str = Field(
        "",
        description="A font file for names on certificates in letters that Noto Sans and Noto Sans SC lack (Korean, "
        "say).",
    )
    secret_key: str = Field(
        "", description="Installation secret (at least 32 characters); empty: generated once into `data_dir/secret`."
    )
    community_name: str = Field("My community", description="Name of the community that the first start creates.")
    community_zone: str = Field("UTC", description="IANA time zone of the community that the first start creates.")
    community_locale: str = Field("en", description="Language of the community that the first start creates.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log line printed.")
    log_format: str = Field(
        "auto", pattern="^(auto|json|console)$", description="`auto`: readable in a terminal, else JSON."
    )
    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="Largest request body, after decompression.")
    max_event_bytes: int = Field(64 * 1024, ge=1024, le=512 * 1024, description="Largest single event.")
    max_events_per_request: int = Field(500, ge=1, le=5000, description="Most events in one request.")
    rate_per_second: float = Field(
        500.0,
        gt=0,
        description="Requests a second that one credential may make of a service in one process, on average.",
    )
    rate_burst: int = Field(2000, ge=1, description="Requests that one credential may make at once, after a pause.")
    rejected_per_day: int = Field(
        1000,
        ge=0,
        le=1_000_000,
        description="Refused events and deliveries of one community kept a day; the rest is only counted.",
    )
    member_per_minute: int = Field(
        120,
        ge=1,
        le=1_000_000,
        description="Activities of one member in one minute that count; the others are stored and earn nothing.",
    )
    idempotency_hours: int = Field(24, ge=1, le=720, description="How long a reply is kept for its Idempotency-Key.")
    inbox_days: int = Field(30, ge=1, le=400, description="How long a consumed event id is remembered.")
    counter_days: int = Field(
        30,
        ge=30,
        le=4000,
        description="How long caps and cooldowns remember, after no late event can ask any more.",
    )
    decision_days: int = Field(400, ge=30, le=4000, description="How long what rules decided is kept, and explained.")
    activity_days: int = Field(
        400, ge=0, le=36_500, description="How long activities are kept where a community says nothing; 0: for ever."
    )
    message_days: int = Field(
        180, ge=1, le=4000, description="How long a message is kept after it was read, ended or left unread."
    )
    private_channels: bool = Field(
        False,
        description="Let channels, and checks of connections, call private and loopback addresses: a bot's API in the "
        "same network.",
    )
    log_retention_days: int = Field(
        7, ge=1, le=3650, description="How long topics that are not compacted keep records."
    )
    consumer_batch: int = Field(500, ge=1, le=5000, description="Most events a consumer handles in one transaction.")
    dead_letters_in_a_row: int = Field(10, ge=1, description="So many dead letters in a row stop the consumer.")
    ready_max_lag: int = Field(100_000, ge=0, description="/readyz fails when a consumer is further behind than this.")
    metrics_seconds: float = Field(
        5.0, ge=0.1, le=300, description="How often gauges about the database and the log are looked up."
    )
    database_pool: int = Field(
        10,
        ge=2,
        le=200,
        description="Connections per service and process on PostgreSQL, beside up to 4 for quick reads.",
    )
    stop_seconds: float = Field(10.0, gt=0, le=300, description="How long stopping may take before it is cut short.")

    @property
    def embedded(self) -> bool:
        """One process with SQLite; only the composition root asks."""
        return not self.database_url


def load_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from the environment and explicit overrides. Raises SettingsError with one line per problem."""
    environ = os.environ if environ is None else environ
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {k: v for k, v in environ.items() if k.startswith(PREFIX) and not k.startswith(NOT_SETTINGS)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise SettingsError(f"unknown settings: {', '.join(unknown)}; docs/settings.md lists the known ones")
    values: dict[str, object] = {k.removeprefix(PREFIX).lower(): v for k, v in given.items()}
    values.update({k: v for k, v in overrides.items() if v is not None})
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        lines = [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(lines)) from error
    wrong = list(_contradictions(settings))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return settings


def _contradictions(settings: Settings) -> Iterator[str]:
    """What is wrong with settings beside their forms: two that contradict each other, a file that is not there."""
    if bool(settings.database_url) != bool(settings.kafka):
        yield "GUILDHALL_DATABASE_URL and GUILDHALL_KAFKA go together: both for PostgreSQL and Kafka, none for embedded"
    if settings.secret_key and len(settings.secret_key) < 32:
        yield "GUILDHALL_SECRET_KEY: at least 32 characters"
    if settings.certificate_font and not Path(settings.certificate_font).is_file():
        yield "GUILDHALL_CERTIFICATE_FONT: there is no such file"
    elif settings.certificate_font and not is_font(Path(settings.certificate_font)):
        yield "GUILDHALL_CERTIFICATE_FONT: this is no TrueType or OpenType font with outlines and Unicode letters"
    signs_in = [bool(settings.kafka_sasl), bool(settings.kafka_username), bool(settings.kafka_password)]
    if any(signs_in) and not all(signs_in):
        yield "GUILDHALL_KAFKA_SASL, GUILDHALL_KAFKA_USERNAME and GUILDHALL_KAFKA_PASSWORD go together: all or none"
    if (settings.kafka_sasl or settings.kafka_tls_ca) and not settings.kafka_tls:
        yield "GUILDHALL_KAFKA_SASL and GUILDHALL_KAFKA_TLS_CA need GUILDHALL_KAFKA_TLS=true"
