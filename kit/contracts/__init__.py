"""What travels between services: frozen dataclasses, one file per publishing service.

Changes are additive only: a new field has a default, a field never changes its meaning or its type.
`@contract` gives a class its topic, its CloudEvents type and its key; `kit.codec` turns it into bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from kit.ids import to_uuid, uuid5

ACTIVITY_TOPIC = "guildhall.activity"
MEMBERS_TOPIC = "guildhall.members"
REWARDS_TOPIC = "guildhall.rewards"
NOTIFY_TOPIC = "guildhall.notify"

RESERVED_PREFIX = "guildhall."
"""Types under this prefix are ours; a client that posts one is refused."""

E = TypeVar("E")
C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class Contract:
    """Where events of one class go: their topic, their CloudEvents `type`, and the log key they keep order by."""

    event: type
    topic: str
    type: str
    key: Callable[[Any], str]


_BY_CLASS: dict[type, Contract] = {}
_BY_TYPE: dict[str, Contract] = {}


def contract(topic: str, key: Callable[[Any], str]) -> Callable[[C], C]:
    """Register a dataclass as an event: its type is `<topic>.<class name in snake case>`."""

    def register(cls: C) -> C:
        snake = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")
        entry = Contract(event=cls, topic=topic, type=f"{topic}.{snake}", key=key)
        if entry.type in _BY_TYPE:
            raise ValueError(f"two contracts are called {entry.type}")
        _BY_CLASS[cls] = entry
        _BY_TYPE[entry.type] = entry
        return cls

    return register


def contract_of(cls: type) -> Contract:
    """The contract of an event class; KeyError names a class that is none."""
    return _BY_CLASS[cls]


def contract_named(type_name: str) -> Contract | None:
    """The contract with this CloudEvents type, or None: consumers skip types they do not know."""
    return _BY_TYPE.get(type_name)


def all_contracts() -> tuple[Contract, ...]:
    """Every registered contract, by type name."""
    return tuple(_BY_TYPE[name] for name in sorted(_BY_TYPE))


class Origin(NamedTuple):
    """Where on the log an envelope was read; `("", -1, -1)` for one that was not."""

    topic: str
    partition: int
    offset: int


NOWHERE = Origin("", -1, -1)


@dataclass(frozen=True, slots=True)
class Envelope(Generic[E]):
    """An event with what the log knows of it. `id` is what the inbox collapses duplicates by."""

    id: UUID
    time: datetime
    community_id: UUID | None
    request_id: str | None
    event: E
    origin: Origin = NOWHERE


# Together the two hold about 9 MiB when full; 16,384 is everybody in a community of the size K60 speaks of.
@lru_cache(maxsize=16384)
def identity_member_id(community_id: UUID, identity: str) -> UUID:
    """The member id of `platform:external_id` (deterministic, no call), or the id in `member:{uuid}`.

    Raises ValueError for a string that is neither. It does not know links: see `known_identities`.
    """
    platform, separator, external = identity.partition(":")
    if not separator or not platform or not external:
        raise ValueError("an identity reads platform:external_id or member:{uuid}")
    return to_uuid(UUID(external).bytes) if platform == "member" else uuid5(community_id, identity)


# An id is asked for by each consumer while they are near each other; one that is behind computes it again.
@lru_cache(maxsize=4096)
def activity_event_id(community_id: UUID, source: str, source_id: str) -> UUID:
    """The one id of the activity `(community, source, id)`, the same wherever it is computed."""
    return uuid5(community_id, f"{source}\n{source_id}")
