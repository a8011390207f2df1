"""A community's own event types, and what is done with data that does not fit a type (E8)."""

from typing import Any
from uuid import UUID

from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from kit.json_schemas import SchemaUnfit, compiled
from services.events.canonical import CANONICAL
from services.events.compatibility import breaking_changes
from services.events.store import keeping, registry

MODES = ("observe", "warn", "enforce")
"""Noted; accepted with a warning in the answer; refused. What no mode was set for is observed."""


async def publish_type(tx: Tx, *, community_id: UUID, name: str, schema: dict[str, Any]) -> int:
    """A new version of a type's schema; its number. Later versions must take what earlier ones took."""
    if name in CANONICAL:
        raise Conflict(f"{name} is a canonical type and has its schema", code="type_canonical")
    try:
        compiled(schema)
    except SchemaUnfit as error:
        wrong = FieldError(f"/json_schema{error.pointer}", "schema_invalid", str(error))
        raise Unprocessable(
            "this JSON Schema cannot be used; see errors", code="schema_invalid", errors=[wrong]
        ) from error
    last = await registry.own_type(tx, community_id=community_id, name=name)
    if last is not None:
        breaks = breaking_changes(last.schema, schema)
        if breaks:
            errors = [FieldError(f"/json_schema{at}", "schema_incompatible", text) for at, text in breaks]
            message = "what fits the present version might not fit this one; see errors, or publish another type"
            raise Conflict(message, code="schema_incompatible", errors=errors)
    version = last.version + 1 if last is not None else 1
    row = {"community_id": community_id, "type": name, "version": version, "schema": schema, "created_at": tx.now}
    if not await registry.add_own_type(tx, row=row):
        raise Conflict("somebody published a version meanwhile; read it again", code="version_changed")
    return version


async def set_mode(tx: Tx, *, community_id: UUID, name: str, mode: str, by: str) -> None:
    """Of a type that has a schema, canonical or own; NotFound otherwise."""
    await schema_of(tx, community_id=community_id, name=name)
    row = {"community_id": community_id, "type": name, "mode": mode, "changed_at": tx.now, "changed_by": by}
    await keeping.set_mode(tx, row=row)


async def mode_of(tx: Tx, *, community_id: UUID, name: str) -> str:
    return await keeping.mode_of(tx, community_id=community_id, name=name) or MODES[0]


async def schema_of(tx: Tx, *, community_id: UUID, name: str) -> tuple[int, dict[str, Any]]:
    """(version, schema) of a canonical or own type; NotFound otherwise."""
    if name in CANONICAL:
        return 1, CANONICAL[name]
    row = await registry.own_type(tx, community_id=community_id, name=name)
    if row is None:
        raise NotFound("no schema was published for this type", code="type_unknown")
    return row.version, row.schema
