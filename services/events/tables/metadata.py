"""The one MetaData of the events service; every module of this package puts its tables on it."""

from kit.database import metadata_for

metadata = metadata_for("events")
