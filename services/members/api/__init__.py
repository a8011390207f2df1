"""HTTP of the members service."""

from services.members.api import communities, keys, people, sessions, tokens

ROUTERS = (communities.router, people.router, keys.router, tokens.router, sessions.router)
