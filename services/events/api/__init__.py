"""HTTP of the events service."""

from services.events.api import connections, hooks, ingest, keeping, registry, timeline

# `keeping` before `timeline`, whose `/v1/events/{id}` would take its names for ids.
ROUTERS = (ingest.router, keeping.router, timeline.router, registry.router, connections.router, hooks.router)
