"""`guildhall gateway-config`: what the gateway needs to know, from the services' own declarations."""

from collections.abc import Iterable
from typing import Annotated

import typer

from deploy.gateway.config import Gateway, GatewayError, render
from kit.settings import Settings
from services.commands.terminal import fail, settings_from
from services.declarations import DECLARATIONS, NAMES

PORT = 8000


def gateway_config(
    replica: Annotated[
        list[str] | None, typer.Option(help="service=host:port, once per replica; a name stands for all its addresses.")
    ] = None,
    bind: Annotated[str, typer.Option(help="host:port to listen on.")] = ":8443",
    certificate: Annotated[
        str, typer.Option(help="PEM file with certificate, chain and key; empty: no TLS, on the loopback only.")
    ] = "/etc/guildhall/tls/gateway.pem",
    metrics_bind: Annotated[str, typer.Option(help="host:port for the gateway's own metrics.")] = "127.0.0.1:8404",
    connections_per_address: Annotated[int, typer.Option(min=1, help="Most connections of one client address.")] = 500,
) -> None:
    """Print the gateway's configuration (HAProxy): every service's routes, limits as these settings have them."""
    settings = settings_from()
    try:
        text = config(
            settings,
            replicas=replica or (),
            bind=bind,
            certificate=certificate,
            metrics_bind=metrics_bind,
            connections_per_address=connections_per_address,
        )
    except GatewayError as error:
        fail(str(error))
    typer.echo(text, nl=False)


def targets_from(replicas: Iterable[str]) -> dict[str, list[str]]:
    """`service=host:port` each; a service that is not mentioned is looked for under its own name. GatewayError for a
    service there is none of."""
    targets: dict[str, list[str]] = {}
    for replica in replicas:
        service, _, target = replica.partition("=")
        if service not in NAMES or not target:
            raise GatewayError(f"{replica!r} is not service=host:port with one of {', '.join(NAMES)}")
        targets.setdefault(service, []).append(target if ":" in target else f"{target}:{PORT}")
    return {service.name: targets.get(service.name, [f"{service.name}:{PORT}"]) for service in DECLARATIONS}


def config(
    settings: Settings,
    *,
    replicas: Iterable[str],
    bind: str,
    certificate: str,
    metrics_bind: str,
    connections_per_address: int,
) -> str:
    """The configuration. GatewayError when it would not work or not be safe."""
    gateway = Gateway(
        targets_from(replicas),
        settings.max_body_bytes,
        bind=bind,
        certificate=certificate,
        metrics_bind=metrics_bind,
        connections_per_address=connections_per_address,
    )
    return render({service.name: service.prefixes for service in DECLARATIONS}, gateway)
