"""How a database finds the rows of a question."""

from typing import Any

from sqlalchemy import text

from kit.database import Database, Question


async def plan_of(db: Database, question: Question, **asked: Any) -> str:
    """In lower case without quotes, a step a line, with nothing but the indexes to choose from."""
    sql, arguments = question.compiled(db.engine.dialect).sql, question.arguments(db.engine.dialect, asked)
    async with db.read() as tx:
        if db.dialect == "sqlite":
            rows = (await tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(arguments))).all()
            steps = [row[3] for row in rows]
        else:
            await tx.execute(text("SET LOCAL enable_seqscan = off"))
            steps = [row[0] for row in (await tx.conn.exec_driver_sql(f"EXPLAIN {sql}", tuple(arguments))).all()]
    return "\n".join(steps).replace('"', "").lower()
