"""Compaction of a topic in the embedded log: the newest record of each key stays, what it supersedes goes."""

import sqlite3

from kit.log.batches import pack_kept, unpack

STEP_ROWS = 50


def compact_step(
    writer: sqlite3.Connection, topic: int, partition: int, seen: dict[bytes, int], below: int | None
) -> int | None:
    """Go through some batches from the newest backwards, in the caller's transaction.

    `seen` carries each key's newest offset from step to step; the result is where the next step begins, or None
    when all is done. The newest batch is left alone: it remembers the next offset. A tombstone is its key's newest
    record and stays.
    """
    limit = below if below is not None else 2**62
    query = (
        "SELECT id, last, body FROM batches WHERE topic = ? AND partition = ? AND last < ? ORDER BY last DESC LIMIT ?"
    )
    rows = writer.execute(query, (topic, partition, limit, STEP_ROWS)).fetchall()
    for id, last, body in rows:
        entries = unpack(body)
        kept = []
        for entry in reversed(entries):
            if entry[1] not in seen:
                seen[entry[1]] = entry[0]
                kept.append(entry)
        kept.reverse()
        newest = below is None and last == rows[0][1]
        if newest or len(kept) == len(entries):
            continue
        if kept:
            writer.execute("UPDATE batches SET body = ? WHERE id = ?", (pack_kept(kept), id))
        else:
            writer.execute("DELETE FROM batches WHERE id = ?", (id,))
    return rows[-1][1] if len(rows) == STEP_ROWS else None
