"""The in-app inbox: delivering is the row itself, given its position in the inbox of the member.

It is the one channel that calls nothing outside, so it runs inside the transaction of the message.
"""

from collections import Counter
from typing import Any

from kit.database import Tx
from services.notify.store import inboxes

NAME = "inbox"


async def place(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Give each message the next position of its inbox, in the order of `rows`."""
    arriving = Counter((row["community_id"], row["member_id"]) for row in rows)
    last = await inboxes.count_in(tx, arriving=arriving)
    following = {owner: last[owner] - count + 1 for owner, count in arriving.items()}
    for row in rows:
        owner = row["community_id"], row["member_id"]
        row["position"] = following[owner]
        following[owner] += 1
