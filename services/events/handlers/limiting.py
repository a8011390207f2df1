"""How much is taken at the hooks and of one member (E20): all of it counted in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from kit.errors import BadRequest, NotFound, TooManyRequests, Unauthorized
from kit.log import LogUnavailable
from kit.rates import Rates
from kit.service import ServiceRuntime
from services.events.floods import Floods

STRANGERS_PER_SECOND, STRANGERS_AT_ONCE = 1.0, 60
"""Deliveries without a good signature that one address may send to one connection."""

CHECKS_PER_SECOND, CHECKS_AT_ONCE = 0.2, 5
"""Checks of a community's connections that ask a platform: each may be two dozen calls to an address of its choice."""


class Unverified(BadRequest):
    """Nothing the platform sends, and not known to be from it."""


@dataclass(slots=True)
class Limits:
    connections: Rates
    floods: Floods
    strangers: Rates = field(default_factory=lambda: Rates(STRANGERS_PER_SECOND, STRANGERS_AT_ONCE))
    checks: Rates = field(default_factory=lambda: Rates(CHECKS_PER_SECOND, CHECKS_AT_ONCE))


def limits_of(one: ServiceRuntime) -> Limits:
    made = one.memory.get("limits")
    if made is None:
        chosen = one.settings
        connections = Rates(chosen.rate_per_second, chosen.rate_burst)
        made = one.memory["limits"] = Limits(connections, Floods(chosen.member_per_minute))
    assert isinstance(made, Limits)
    return made


def floods_of(one: ServiceRuntime) -> Floods:
    return limits_of(one).floods


@contextmanager
def forgetting(floods: Floods | None) -> Iterator[None]:
    """What the log does not take is sent again: counted twice, it would look like a flood."""
    try:
        yield
    except LogUnavailable:
        if floods is not None:
            floods.forget()
        raise


def take(one: ServiceRuntime, connection_id: UUID) -> None:
    """Count a delivery that is known to be the connection's own: nobody else can use up what it may send."""
    taken = limits_of(one).connections.take(str(connection_id))
    if taken.wait:
        raise TooManyRequests(f"this connection sends too often; wait {taken.wait} s", retry_after=taken.wait)


def take_check(one: ServiceRuntime, community_id: UUID) -> None:
    taken = limits_of(one).checks.take(str(community_id))
    if taken.wait:
        raise TooManyRequests(f"platforms are asked too often; wait {taken.wait} s", retry_after=taken.wait)


@contextmanager
def strangers(one: ServiceRuntime, address: str, connection_id: UUID) -> Iterator[None]:
    """Around the check of who sent it: an address that was refused too often is not looked at for a while.

    Counted by address and connection, because behind a proxy that does not say whom it speaks for all have one address:
    then a stranger who knows a connection's id can hold this one up, and no other. For ids of no connection the
    address alone counts.
    """
    rates = limits_of(one).strangers
    wait = rates.wait(_who(one, address, connection_id))
    if wait:
        message = f"too many deliveries from this address were not signed as they should be; wait {wait} s"
        raise TooManyRequests(message, code="strangers_limited", retry_after=wait)
    try:
        yield
    except (Unauthorized, Unverified, NotFound):
        rates.take(_who(one, address, connection_id))
        raise


def _who(one: ServiceRuntime, address: str, connection_id: UUID) -> str:
    return f"{address} {connection_id}" if connection_id in one.memory.get("connections", ()) else address
