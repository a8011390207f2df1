"""JSON Schemas of a community's own types: taken only when they can be checked here and without surprises.

Guaranteed: a schema never reaches outside (a `$ref` to an address would be a request from inside our network, one to
a file a look at our disk), and no pattern runs longer than linear in its input.
"""

from collections.abc import Iterable
from typing import Any

import jsonschema_rs

MAX_NODES = 2_000
_LINEAR = jsonschema_rs.RegexOptions()


class SchemaUnfit(Exception):
    """The message says what is wrong with the schema, `pointer` where in it."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


def compiled(schema: dict[str, Any]) -> Any:
    """A validator; SchemaUnfit for what is no JSON Schema, refers to somewhere else, or is very large."""
    if _nodes(schema) > MAX_NODES:
        raise SchemaUnfit(f"more than {MAX_NODES} objects and lists; describe less")
    try:
        return jsonschema_rs.validator_for(schema, retriever=_nowhere, pattern_options=_LINEAR)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise SchemaUnfit(_sentence(error), _pointer(getattr(error, "instance_path", ()))) from error


def first_fault(validator: Any, data: dict[str, Any]) -> tuple[str, str] | None:
    """JSON pointer and rule of the first thing that does not fit; never a value, which may be what somebody wrote."""
    if validator is None or validator.is_valid(data):
        return None
    problem = next(validator.iter_errors(data))
    missing = getattr(problem.kind, "property", None)
    sentence = f"{missing} is missing" if missing else f"does not fit `{problem.kind.name}`"
    return _pointer(problem.instance_path), sentence


def first_problem(validator: Any, data: dict[str, Any]) -> str | None:
    """The same as `pointer: rule`."""
    fault = first_fault(validator, data)
    return ": ".join(fault)[:1000] if fault is not None else None


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _nowhere(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere; put it under $defs")


def _sentence(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).splitlines()[0]
    if "elsewhere" in text:
        return "a $ref must stay inside the schema; put what it names under $defs"
    return text[:300]


def _nodes(schema: Any) -> int:
    level, count = [schema], 0
    while level and count <= MAX_NODES:
        count += len(level)
        level = [
            inner
            for node in level
            for inner in (node.values() if isinstance(node, dict) else node)
            if isinstance(inner, dict | list)
        ]
    return count
