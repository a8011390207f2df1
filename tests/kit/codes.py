"""The problem codes in the source, found by reading it: what docs/errors.md is compared with."""

import ast
from collections.abc import Iterator
from pathlib import Path

import kit.consumer
import kit.database
from kit.errors import GuildhallError

ROOT = Path(__file__).parents[2]
assert kit.consumer
assert kit.database  # they define refusals of their own


def _classes(cls: type[GuildhallError] = GuildhallError) -> dict[str, type[GuildhallError]]:
    found = {cls.__name__: cls}
    for below in cls.__subclasses__():
        found |= _classes(below)
    return found


REFUSALS = _classes()


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for folder in ("kit", "services", "console"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                    yield name, node


def _texts(node: ast.expr | None) -> list[str]:
    """The constants an argument may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return [*_texts(node.body), *_texts(node.orelse)] if isinstance(node, ast.IfExp) else []


def problem_codes() -> set[tuple[str, int]]:
    """(code, status) of every refusal that the source raises with its code written out, or with its class's own."""
    found = {("key_expired", 401), ("token_expired", 401), ("session_expired", 401)}  # put together in kit/auth.py
    for name, call in _calls():
        if name in REFUSALS:
            given = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
            codes = _texts(given) if given is not None else [REFUSALS[name].default_code]
            found |= {(code, REFUSALS[name].status) for code in codes}
        elif name == "Refused" and len(call.args) == 2:
            found |= {(code, 401) for code in _texts(call.args[0])}
        elif name == "_wrong" and len(call.args) == 3:
            found |= {(code, 422) for code in _texts(call.args[1])}
        elif name == "problem_response" and isinstance(call.args[1], ast.Constant):
            found |= {(code, int(call.args[1].value)) for code in _texts(call.args[2])}  # type: ignore[arg-type]
    return found | {("not_found", 404), ("method_not_allowed", 405)}  # what the framework itself refuses


def item_codes() -> set[str]:
    """Codes of single events that were refused at the door."""
    found = {code for name, call in _calls() if name == "Wrong" and call.args for code in _texts(call.args[0])}
    return found | {"attribute_missing", "schema_violation"}  # kit/refusals.py


def dead_letter_codes() -> set[str]:
    return {code for name, call in _calls() if name == "BadMessage" for code in _texts(call.args[0])}
