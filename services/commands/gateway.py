"""`guildhall gateway-config`: what the gateway needs to know, from the services' own declarations."""

from collections.abc import Iterable

from deploy.gateway.config import Gateway, GatewayError, render
from kit.settings import Settings
from services.compose import BY_NAME, SERVICES

PORT = 8000


def targets_from(replicas: Iterable[str]) -> dict[str, list[str]]:
    """`service=host:port` each; a service that is not mentioned is looked for under its own name. GatewayError for a
    service there is none of."""
    targets: dict[str, list[str]] = {}
    for replica in replicas:
        service, _, target = replica.partition("=")
        if service not in BY_NAME or not target:
            raise GatewayError(f"{replica!r} is not service=host:port with one of {', '.join(BY_NAME)}")
        targets.setdefault(service, []).append(target if ":" in target else f"{target}:{PORT}")
    return {service.name: targets.get(service.name, [f"{service.name}:{PORT}"]) for service in SERVICES}


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
    return render({service.name: service.prefixes for service in SERVICES}, gateway)
