"""How a database finds the rows of a question."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import event, text

from kit.database import Database, Question, Tx


async def plan_of(db: Database, question: Question, **asked: Any) -> str:
    """In lower case without quotes, a step a line, with nothing but the indexes to choose from."""
    sql, arguments = question.compiled(db.engine.dialect).sql, question.arguments(db.engine.dialect, asked)
    async with db.read() as tx:
        return await _explained(tx, sql, arguments)


async def plans_of(db: Database, ask: Callable[[Tx], Awaitable[Any]]) -> tuple[Any, list[str]]:
    """What it answers, and so the plan of each statement that it sends."""
    seen: list[tuple[str, Sequence[Any]]] = []

    def note(_conn: Any, _cursor: Any, sql: str, arguments: Any, *_rest: Any) -> None:
        seen.append((sql, arguments))

    async with db.begin() as tx:
        event.listen(db.engine.sync_engine, "before_cursor_execute", note)
        try:
            answer = await ask(tx)
        finally:
            event.remove(db.engine.sync_engine, "before_cursor_execute", note)
        return answer, [await _explained(tx, sql, arguments) for sql, arguments in seen]


async def _explained(tx: Tx, sql: str, arguments: Sequence[Any]) -> str:
    if tx.dialect == "sqlite":
        rows = (await tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(arguments))).all()
        steps = [row[3] for row in rows]
    else:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        steps = [row[0] for row in (await tx.conn.exec_driver_sql(f"EXPLAIN {sql}", tuple(arguments))).all()]
    return "\n".join(steps).replace('"', "").lower()
