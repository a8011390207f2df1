"""`guildhall sign-in-link`."""

import asyncio
from typing import Annotated

import httpx2
import typer


def sign_in_link(
    url: Annotated[str, typer.Option(help="Address of the running installation.")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option(envvar="GUILDHALL_API_KEY", help="API key with the scope keys:write.")] = "",
) -> None:
    """Print a fresh one-time sign-in link of a running installation."""
    typer.echo(asyncio.run(made_link(url, key)))


async def made_link(url: str, key: str) -> str:
    """A fresh one-time link from a running installation. httpx2.HTTPStatusError when it refuses."""
    async with httpx2.AsyncClient(base_url=url) as client:
        reply = await client.post("/v1/sessions/links", headers={"Authorization": f"Bearer {key}"})
        reply.raise_for_status()
        return str(reply.json()["url"])
