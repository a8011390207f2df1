"""HTTP of the members service."""

from services.members.api import communities, identities, keys, members, segments, sessions, tokens

ROUTERS = (
    communities.router,
    members.router,
    segments.router,
    identities.router,
    keys.router,
    tokens.router,
    sessions.router,
)
