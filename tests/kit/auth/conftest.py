"""Routes with and without scopes, over a service that knows communities, keys, sessions and signing keys by copy."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Request

from kit.auth import Principal, caller, requires
from kit.database import Database, metadata_for
from tests.kit.stand import Stand, standing
from tests.support.clock import ManualClock

METADATA = metadata_for("scratch")
router = APIRouter(prefix="/v1/scratch")


def shown(principal: Principal) -> dict[str, Any]:
    return {
        "kind": principal.kind,
        "id": principal.id,
        "community": str(principal.community_id),
        "member": str(principal.member_id) if principal.member_id else None,
        "mode": principal.mode,
        "scopes": sorted(principal.scopes),
    }


@router.get("/who")
@router.post("/who")
async def who(request: Request) -> dict[str, Any]:
    return shown(await caller(request.app.state.runtime.services["scratch"], request))


@router.get("/read")
async def read(principal: Annotated[Principal, Depends(requires("scratch", "rewards:read"))]) -> dict[str, Any]:
    return shown(principal)


@router.get("/mine")
async def mine(
    principal: Annotated[Principal, Depends(requires("scratch", "rewards:read", member=True))],
) -> dict[str, Any]:
    return shown(principal)


@router.get("/both")
async def both(
    principal: Annotated[Principal, Depends(requires("scratch", "rewards:read", "rewards:write"))],
) -> dict[str, Any]:
    return shown(principal)


@pytest.fixture
async def stand(
    scratch: Callable[[object], Awaitable[Database]], tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Stand]:
    async with standing(await scratch(METADATA), clock, tmp_path, router) as made:
        del made.client.headers["authorization"]
        yield made
