"""`guildhall dead-letters`: the same as the API, for a terminal (K33)."""

from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.table import Table

cli = typer.Typer(no_args_is_help=True, help="List, retry and discard events that were given up on.")

Url = Annotated[str, typer.Option(help="Address of the running installation.")]
Key = Annotated[str, typer.Option(help="API key with the scopes ops:read and ops:write.")]
ServiceName = Annotated[str, typer.Option(help="members, events, rewards or notify.")]

LOCAL = "http://127.0.0.1:8000"


def _call(method: str, url: str, key: str, path: str, **kwargs: Any) -> Any:
    reply = httpx2.request(method, url + path, headers={"Authorization": f"Bearer {key}"}, **kwargs)
    if reply.is_error:
        problem = reply.json()
        Console(stderr=True).print(
            f"guildhall: {problem.get('code')}: {problem.get('detail')}", style="red", markup=False
        )
        raise typer.Exit(1)
    return reply.json()


@cli.command("list")
def list_letters(service: ServiceName, key: Key, url: Url = LOCAL, code: str = "") -> None:
    """Those that still wait for somebody."""
    query = {"service": service, **({"code": code} if code else {})}
    table = Table("id", "event", "code", "attempts", "message")
    for item in _call("GET", url, key, "/v1/dead-letters", params=query)["items"]:
        table.add_row(item["id"], str(item["event_id"]), item["code"], str(item["attempts"]), item["message"])
    Console().print(table)


@cli.command()
def retry(id: str, service: ServiceName, key: Key, url: Url = LOCAL) -> None:
    """Handle one again."""
    done = _call("POST", url, key, f"/v1/dead-letters/{id}/retry", params={"service": service})
    Console().print(f"{done['state']}: {done['message']}" if done["state"] == "dead" else done["state"])


@cli.command()
def discard(id: str, service: ServiceName, reason: Annotated[str, typer.Option()], key: Key, url: Url = LOCAL) -> None:
    """Close one without effect; the reason is kept."""
    body = {"reason": reason}
    Console().print(
        _call("POST", url, key, f"/v1/dead-letters/{id}/discard", params={"service": service}, json=body)["state"]
    )


@cli.command()
def bulk(
    action: str,
    service: ServiceName,
    code: Annotated[str, typer.Option()],
    key: Key,
    url: Url = LOCAL,
    reason: str = "",
) -> None:
    """`retry` or `discard` all that failed with one code."""
    body = {"action": action, "code": code, "reason": reason}
    done = _call("POST", url, key, "/v1/dead-letters/bulk", params={"service": service}, json=body)
    Console().print(done)
