"""The first community, operator and key of an installation; a fresh key and link on every later start (K1)."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from kit.auth import COMMUNITY_SCOPES
from kit.database import Tx
from services.members.handlers import credentials, places, sessions
from services.members.store import credentials as key_rows
from services.members.store import places as place_rows

KEY_NAME = "made by guildhall up"
OPERATOR = "owner"
OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Secrets are shown once and stored as hashes."""

    community_id: UUID
    api_key: str
    sign_in_token: str


async def bootstrap(tx: Tx, *, community_name: str, zone: str, locale: str) -> Bootstrap:
    """Idempotent but for the secrets: earlier keys of the same name end after a day, so they do not pile up."""
    community = await place_rows.first_community(tx)
    if community is None:
        community = await places.create_community(
            tx, name=community_name, zone=zone, day_start=0, locale=locale, charter={}
        )
    await place_rows.add_operator(tx, name=OPERATOR, role="owner", communities=[])
    for old in await key_rows.live_keys_named(tx, community_id=community.id, name=KEY_NAME):
        await credentials.end_key(tx, dict(old._mapping), tx.now + OVERLAP)
    _, secret = await credentials.create_key(
        tx,
        community_id=community.id,
        name=KEY_NAME,
        kind="ops",
        mode="live",
        scopes=sorted(COMMUNITY_SCOPES),
        expires_at=None,
        created_by="guildhall up",
    )
    token = await sessions.create_sign_in_link(tx, operator=OPERATOR, created_by="guildhall up")
    return Bootstrap(community.id, secret, token)
