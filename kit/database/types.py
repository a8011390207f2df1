"""Column types that mean the same on SQLite and PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Date, DateTime, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from kit.ids import to_uuid

PLACES_ON_THE_LOG = "places_on_the_log"
"""In the `info` of a table that holds nothing but places on the installation's log: on another log they mean nothing,
and the table fills again by itself. (A single place is in columns called `log_partition` and `log_offset`.)"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HexUuid(Uuid[UUID]):
    """How SQLite's engines read `Uuid` columns (32 hexadecimal digits): as SQLAlchemy does, ten times as fast."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], UUID | None]:
        return lambda value: None if value is None else to_uuid(value)


def _aware(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return value


def _micros(value: datetime | None) -> int | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    since = value - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class IsoDate(Date):
    """How SQLite's engines keep `Date` columns (2026-11-25): as SQLAlchemy does, in fewer steps."""

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        return lambda value: None if value is None else value.isoformat()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], date | None]:
        return lambda value: None if value is None else date.fromisoformat(value)


def to_instant(micros: int) -> datetime:
    return _EPOCH + timedelta(0, 0, micros)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Takes aware datetimes only, gives them back in UTC; exact to the microsecond.

    `timestamptz` on PostgreSQL; whole microseconds since 1970 on SQLite, where text would sort and compare
    differently by its length and cost three times the space.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        # Not `process_bind_param`: SQLAlchemy would put two more calls around it, for every value of a batch.
        return _micros if dialect.name == "sqlite" else _aware

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return to_instant(value)
        instant: datetime = value
        return instant.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """Any JSON value; `jsonb` on PostgreSQL, text on SQLite. Dates and UUIDs go in as strings and stay strings."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSONB(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        # PostgreSQL's type encodes by itself, with the engine's `json_serializer`.
        return encode_json(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return msgspec.json.decode(value) if dialect.name == "sqlite" and value is not None else value


def encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata_for(service: str) -> MetaData:
    """The MetaData of one service, with the kit's own tables on it and names that migrations can rely on."""
    from kit.tables import add_kit_tables

    metadata = MetaData(naming_convention=NAMING, info={"service": service})
    add_kit_tables(metadata)
    return metadata
