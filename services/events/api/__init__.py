"""HTTP of the events service."""

from services.events.api import connections, hooks, ingest, registry, rejected, replays, sockets, timeline

ROUTERS = (
    ingest.router,
    rejected.router,
    replays.router,
    timeline.router,
    registry.router,
    connections.router,
    hooks.router,
    sockets.router,
)
