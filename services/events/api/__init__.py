"""HTTP of the events service."""

from services.events.api import (
    checking,
    connections,
    hooks,
    ingest,
    keeping,
    registry,
    rejected,
    replays,
    sockets,
    timeline,
)

# `keeping` and `rejected` before `timeline`, whose `/v1/events/{id}` would take their names for ids.
ROUTERS = (
    ingest.router,
    rejected.router,
    replays.router,
    keeping.router,
    timeline.router,
    registry.router,
    connections.router,
    checking.router,
    hooks.router,
    sockets.router,
)
