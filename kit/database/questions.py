"""Reads that are asked very often: one statement, compiled once, on a connection kept for nothing else.

A statement through `Database.read` costs SQLAlchemy's compiling, caching, result rows and transaction, and the trips of
BEGIN and ROLLBACK: several times what the database itself does for a look-up. A `Question` goes to the driver as it is.
A single statement sees one instant without any transaction, on SQLite as on PostgreSQL.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, Column, ColumnElement, Select, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from kit.database.types import UtcDateTime, to_instant

Processor = Callable[[Any], Any] | None


class gathered(FunctionElement[list[Any]]):
    """An aggregate: a column's values as a list, in no order that is promised; empty where there are no rows, as where
    an outer join found none.

    Many lines in one row are one step of SQLite, which lets go of the interpreter's lock at every step and has to win
    it back from a busy event loop. Takes numbers, text, ids, days and instants, no bytes.
    """

    name = "gathered"
    inherit_cache = True

    def __init__(self, column: Any) -> None:
        super().__init__(column)
        self.type = _Gathered(column.type)


@compiles(gathered, "postgresql")
def _array(element: Any, compiler: Any, **kw: Any) -> str:
    return f"array_agg({compiler.process(element.clauses, **kw)})"


@compiles(gathered, "sqlite")
def _json(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **kw)})"


class _Gathered(TypeEngine[list[Any]]):
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], list[Any]]:
        each = _result(self.item, dialect)
        if dialect.name == "sqlite":
            # Ids are read out of their text by the decoder, several times faster than one by one.
            ids = self.item.python_type is UUID
            decode = msgspec.json.Decoder(list[UUID | None] if ids else list[Any]).decode
            if ids or each is None:
                return lambda text: decode(text or "[]")
            return lambda text: [None if v is None else each(v) for v in decode(text or "[]")]
        if each is None:
            return lambda array: array or []
        return lambda array: [each(v) for v in array or ()]


class listed(ColumnElement[bool]):
    """A condition of a question: the column is among the values of the parameter `name`, a list or set of any size.
    Takes numbers, text and ids, no null."""

    inherit_cache = False

    def __init__(self, column: Column[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name, type_=_Listed(column.type))


@compiles(listed, "postgresql")
def _any(element: Any, compiler: Any, **kw: Any) -> str:
    item = element.column.type.compile(dialect=compiler.dialect).partition("(")[0]
    values = compiler.process(element.values, **kw)
    return f"{compiler.process(element.column, **kw)} = ANY(CAST({values} AS {item}[]))"


@compiles(listed, "sqlite")
def _each(element: Any, compiler: Any, **kw: Any) -> str:
    values = compiler.process(element.values, **kw)
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({values}))"


class _Listed(TypeEngine[list[Any]]):
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        each = self.item.dialect_impl(dialect).bind_processor(dialect)
        encode = msgspec.json.encode if dialect.name == "sqlite" else list
        return encode if each is None else lambda values: encode([each(value) for value in values])


def _result(kind: TypeEngine[Any], dialect: Dialect) -> Processor:
    if isinstance(kind, UtcDateTime):
        # What the type does itself, two calls less for each value. The other driver's instants are in UTC already.
        return _instant if dialect.name == "sqlite" else None
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else to_instant(micros)


class _Compiled(NamedTuple):
    sql: str
    parameters: tuple[tuple[str, Processor, Any], ...]
    """(name, how the driver wants it, the value where the statement itself has it)"""
    results: tuple[tuple[int, Callable[[Any], Any]], ...]
    """(column, what makes the driver's value the type's); those that come as they are, are left out"""


_ASKED = object()


class Question:
    """A SELECT with named parameters (`bindparam`), compiled on first use. Made once, at import.

    Its answer is a list of rows, named tuples by the columns' keys. No `IN` over lists, whose length changes the
    text: a condition `listed`.
    """

    def __init__(self, stmt: Select[Any]) -> None:
        self._stmt = stmt
        columns = list(stmt.selected_columns)
        fields = [str(column.key) for column in columns]
        self._row: Any = namedtuple("Answer", fields)  # type: ignore[misc]  # mypy wants the fields written out
        self._types = [column.type for column in columns]
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> _Compiled:
        made: Any = self._stmt.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        parameters = []
        for name in made.positiontup or ():
            bind = made.binds[name]
            processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
            constant = _ASKED
            if not bind.required:
                constant = bind.effective_value if processor is None else processor(bind.effective_value)
            parameters.append((name, processor, constant))
        results = enumerate(_result(kind, dialect) for kind in self._types)
        done = tuple((place, processor) for place, processor in results if processor is not None)
        return _Compiled(str(made), tuple(parameters), done)

    def arguments(self, dialect: Dialect, params: Mapping[str, Any]) -> list[Any]:
        """In the order of the statement; KeyError for one that is missing."""
        out = []
        for name, processor, constant in self.compiled(dialect).parameters:
            if constant is _ASKED:
                value = params[name]
                out.append(value if processor is None else processor(value))
            else:
                out.append(constant)
        return out

    def rows(self, dialect: Dialect, raw: Iterable[Sequence[Any]]) -> list[Any]:
        # A column at a time: most have nothing to be done, and of a hundred rows each value would be looked at.
        columns: list[Iterable[Any]] = list(zip(*raw, strict=True))
        for place, processor in self.compiled(dialect).results if columns else ():
            columns[place] = map(processor, columns[place])
        return list(map(self._row._make, zip(*columns, strict=True)))
