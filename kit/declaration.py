"""What every process knows of every service, the ones it does not run too: light, where a `Service` is all its code."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declaration:
    """Declared once, in `services/X/declaration.py`. `prefixes` are the first path segments after `/v1/` that are this
    service's; `events/*/decisions` names a sub-resource under another service's segment. `publishes` are the contract
    classes it may announce."""

    name: str
    publishes: tuple[type, ...]
    prefixes: tuple[str, ...]


class WiringError(Exception):
    """The services do not fit together; the message names what is not wired. Nothing was started."""
