"""Templates: the shipped ones, a community's own versions, and what a message becomes with its variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from kit.json_schemas import SchemaUnfit, compiled, first_problem
from services.notify import rendering
from services.notify.domain import locale_chain
from services.notify.shipped import SHIPPED
from services.notify.store import templates as store

MAX_VERSIONS = 1000
MAX_VARIABLES_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Template:
    """One version; `texts` is locale → `title` and `body`."""

    name: str
    version: int
    category: str
    variables: Mapping[str, Any]
    texts: Mapping[str, Mapping[str, str]]
    source: bytes = field(init=False)
    """What messages are made by, as JSON: equal forms render equally."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", msgspec.json.encode((self.variables, self.texts)))


@dataclass(frozen=True, slots=True)
class Rendered:
    locale: str
    title: str
    body: str


def _shipped_row(tx: Tx, community_id: UUID, name: str) -> dict[str, Any]:
    shipped = SHIPPED[name]
    return {
        "community_id": community_id,
        "name": name,
        "version": 1,
        "category": shipped.category,
        "variables": shipped.variables,
        "texts": shipped.texts,
        "actor": "guildhall",
        "created_at": tx.now,
    }


async def in_force(tx: Tx, names: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], Template]:
    """(community, name) → the version in force. A shipped template that a community has no version of becomes its
    version 1 here, so that every message names a version that stays as it was."""
    wanted = list(dict.fromkeys(names))
    rows = await store.newest(tx, names=wanted)
    new = [_shipped_row(tx, c, name) for c, name in wanted if (c, name) not in rows and name in SHIPPED]
    await store.add(tx, rows=new)
    found = {key: _template(row) for key, row in rows.items()}
    return found | {(r["community_id"], r["name"]): _template(r) for r in new}


def _template(row: Any) -> Template:
    get = row.__getitem__ if isinstance(row, dict) else lambda name: getattr(row, name)
    return Template(get("name"), get("version"), get("category"), get("variables"), get("texts"))


async def add_shipped(tx: Tx, community_id: UUID) -> None:
    """Version 1 of every shipped template."""
    await store.add(tx, rows=[_shipped_row(tx, community_id, name) for name in SHIPPED])


async def publish(
    tx: Tx,
    *,
    community_id: UUID,
    name: str,
    category: str,
    variables: dict[str, Any],
    texts: Mapping[str, Mapping[str, str]],
    actor: str,
) -> Any:
    """The next version, in force from now on. Unprocessable names what is wrong and where.

    A shipped template keeps its variables: it is Guildhall that fills them.
    """
    if name in SHIPPED and variables != SHIPPED[name].variables:
        wrong = FieldError("/variables", "variables_fixed", f"{name} keeps the variables of its version 1")
        raise Unprocessable("the variables of a shipped template stay", code="template_invalid", errors=[wrong])
    _checked(variables, texts)
    await add_shipped(tx, community_id)
    present = await store.versions(tx, community_id=community_id, name=name)
    version = present[0].version + 1 if present else 1
    if version > MAX_VERSIONS:
        raise Conflict(f"a template has at most {MAX_VERSIONS} versions; use another name", code="too_many_versions")
    row = {
        "community_id": community_id,
        "name": name,
        "version": version,
        "category": category,
        "variables": variables,
        "texts": {locale: dict(text) for locale, text in texts.items()},
        "actor": actor,
        "created_at": tx.now,
    }
    if not await store.add(tx, rows=[row]):
        raise Conflict("somebody published a version at the same moment; read it again", code="version_changed")
    return row


def _checked(variables: dict[str, Any], texts: Mapping[str, Mapping[str, str]]) -> None:
    try:
        compiled(variables)
    except SchemaUnfit as error:
        wrong = FieldError("/variables", "schema_invalid", str(error))
        raise Unprocessable(
            "the variables are no JSON Schema that can be used", code="template_invalid", errors=[wrong]
        ) from error
    declared = variables.get("properties", {})
    names = set(declared) if isinstance(declared, dict) else set()
    errors = []
    for locale, text in texts.items():
        for part, source in text.items():
            try:
                rendering.check(source, names)
            except rendering.Unfit as error:
                errors.append(FieldError(f"/texts/{locale}/{part}", "text_invalid", str(error)))
    if errors:
        raise Unprocessable("a text cannot be used; see errors", code="template_invalid", errors=errors)


async def existing(tx: Tx, community_id: UUID, name: str) -> list[Any]:
    """Every version, newest first; NotFound without any. A shipped one shows before its first use."""
    rows = await store.versions(tx, community_id=community_id, name=name)
    if rows or name not in SHIPPED:
        if not rows:
            raise NotFound("no such template; see GET /v1/templates", code="template_unknown")
        return rows
    return [_shipped_row(tx, community_id, name)]


async def all_of(tx: Tx, community_id: UUID) -> list[Any]:
    """The version in force of each template, by name."""
    rows = await store.of_community(tx, community_id=community_id)
    have = {row.name for row in rows}
    missing = [_shipped_row(tx, community_id, name) for name in SHIPPED if name not in have]
    return sorted([*rows, *missing], key=lambda row: row["name"] if isinstance(row, dict) else row.name)


class _Form:
    """A template's schema and texts, made ready once for all its messages."""

    def __init__(self, variables: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> None:
        self.validator = compiled(dict(variables))
        self.texts = texts


@lru_cache(maxsize=512)
def _form(source: bytes) -> _Form:
    return _Form(*msgspec.json.decode(source))


def render(template: Template, variables: Mapping[str, Any], locale: str) -> Rendered:
    """The texts in the best language there is. Unprocessable when the variables do not fit.

    A text is made of the template's form, its variables and the language, and of nothing else: many members are told
    the same at the same time, and what was made of the same before is given again.
    """
    body = msgspec.json.encode(dict(variables))
    if len(body) > MAX_VARIABLES_BYTES:
        wrong = FieldError("/variables", "too_large", f"at most {MAX_VARIABLES_BYTES} bytes as JSON")
        raise Unprocessable("the variables are too large", code="variables_invalid", errors=[wrong])
    return _rendered(_form(template.source), template.name, body, locale)


@lru_cache(maxsize=1024)
def _rendered(form: _Form, name: str, body: bytes, locale: str) -> Rendered:
    variables = msgspec.json.decode(body)
    problem = first_problem(form.validator, variables)
    if problem is not None:
        pointer, _, message = problem.partition(": ")
        wrong = FieldError(f"/variables{pointer}", "variable_invalid", message)
        raise Unprocessable(f"the variables do not fit the template {name}", code="variables_invalid", errors=[wrong])
    chosen = locale_chain(locale, form.texts)[0]
    text = form.texts[chosen]
    try:
        title, body_text = (rendering.render(text[part], variables, chosen) for part in ("title", "body"))
    except rendering.Unfit as error:
        wrong = FieldError("/variables", "variable_invalid", str(error))
        raise Unprocessable(
            f"the template {name} cannot be made of these variables", code="variables_invalid", errors=[wrong]
        ) from error
    return Rendered(chosen, title, body_text)


@lru_cache
def _shipped(name: str) -> Template:
    shipped = SHIPPED[name]
    return Template(name, 1, shipped.category, shipped.variables, shipped.texts)


def render_shipped(name: str, variables: Mapping[str, Any], locale: str) -> Rendered:
    """The text as Guildhall ships it, for when a community's own version of it fails."""
    return render(_shipped(name), variables, locale)
