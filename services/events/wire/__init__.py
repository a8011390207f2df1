"""From a request body to log records: the hot path of ingestion.

`modes` cuts a body into items, `plain` takes the usual ones in a few steps, `checking` checks one item whole and says
what is wrong with it.
"""

from services.events.wire.checking import Accepted, Arrival, Rejected, check, said_in
from services.events.wire.modes import (
    BATCHED,
    JSON,
    LINES,
    MAX_DEPTH,
    STRUCTURED,
    binary_item,
    media_type_of,
    must_parse,
    split,
    unparsable,
)
from services.events.wire.plain import Checked, check_all

__all__ = [
    "BATCHED",
    "JSON",
    "LINES",
    "MAX_DEPTH",
    "STRUCTURED",
    "Accepted",
    "Arrival",
    "Checked",
    "Rejected",
    "binary_item",
    "check",
    "check_all",
    "media_type_of",
    "must_parse",
    "said_in",
    "split",
    "unparsable",
]
