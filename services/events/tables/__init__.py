"""Tables of the events service, one module a part of it; importing the package registers them all."""

from services.events.tables.activities import (
    activities,
    consequences,
    import_problems,
    imports,
    own_types,
    seen_identities,
    seen_types,
    tails,
)
from services.events.tables.again import rejected, rejected_days, replays
from services.events.tables.connections import (
    calls,
    connection_days,
    connection_signs,
    connections,
    gaps,
    missing_numbers,
    sequences,
    written,
)
from services.events.tables.keeping import checkin_series, daily, text_keys, text_readings, texts, type_modes, wishes
from services.events.tables.metadata import metadata

__all__ = [
    "activities",
    "calls",
    "checkin_series",
    "connection_days",
    "connection_signs",
    "connections",
    "consequences",
    "daily",
    "gaps",
    "import_problems",
    "imports",
    "metadata",
    "missing_numbers",
    "own_types",
    "rejected",
    "rejected_days",
    "replays",
    "seen_identities",
    "seen_types",
    "sequences",
    "tails",
    "text_keys",
    "text_readings",
    "texts",
    "type_modes",
    "wishes",
    "written",
]
