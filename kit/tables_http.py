"""Replaced by the HTTP side's tables."""
from sqlalchemy import MetaData


def add_http_tables(metadata: MetaData) -> None:
    """None yet."""
