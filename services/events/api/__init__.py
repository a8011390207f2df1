"""HTTP of the events service."""

from services.events.api import connections, hooks, ingest, registry, sockets, timeline

ROUTERS = (ingest.router, timeline.router, registry.router, connections.router, hooks.router, sockets.router)
