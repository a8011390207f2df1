"""HTTP of the events service."""

from services.events.api import ingest, registry, timeline

ROUTERS = (ingest.router, timeline.router, registry.router)
