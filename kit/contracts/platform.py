"""What any service may publish: facts about credentials that only the service that saw them knows."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.contracts import MEMBERS_TOPIC, contract


@contract(MEMBERS_TOPIC, key=lambda e: f"key-used:{e.key_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsed:
    """An API key was accepted at `used_at`; announced at most once a minute per key, process and service."""

    key_id: UUID
    used_at: datetime
