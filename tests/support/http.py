"""Clients of servers on this machine."""

from typing import Any

import httpx2


def client_of(url: str, **options: Any) -> httpx2.AsyncClient:
    """A client for what is served at `url` without encryption. It loads no certificates: those of the world's
    authorities, which every client would load for itself, take longer to read than most tests do."""
    return httpx2.AsyncClient(base_url=url, verify=False, **options)
