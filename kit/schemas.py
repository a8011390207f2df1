"""JSON Schemas of what travels on the log, generated from the contracts: `python -m kit.schemas docs/event-schemas`.

A test compares the committed files with what this module generates, so a contract cannot change unseen.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from kit.contracts import all_contracts

MODULES = ("members", "events", "rewards", "notify", "platform")


def event_schemas() -> dict[str, dict[str, Any]]:
    """Type name → JSON Schema (2020-12) of its `data`, for every contract."""
    for module in MODULES:
        importlib.import_module(f"kit.contracts.{module}")
    out = {}
    for contract in all_contracts():
        schema = msgspec.json.schema(contract.event)
        schema["$id"] = f"{contract.type}.json"
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        schema["x-topic"] = contract.topic
        out[contract.type] = schema
    return out


def rendered(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}.json": rendered(schema) for name, schema in event_schemas().items()}
    for old in directory.glob("*.json"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()
