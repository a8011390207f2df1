"""The in-app inbox: delivering is the row itself, given its position in the inbox of the member.

It is the one channel that calls nothing outside, so it runs inside the transaction of the message.
"""

from collections import Counter
from typing import Any

from kit.database import Tx
from services.notify.store import inboxes, messages

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


async def give_back(tx: Tx, lost: list[dict[str, Any]], made: list[dict[str, Any]]) -> None:
    """Take back the places of `lost`, which never came to be, and close the gaps they leave among `made`.

    The inboxes are still held from `place`, so nobody has seen a position of this transaction.
    """
    losing = Counter((row["community_id"], row["member_id"]) for row in lost)
    last = await inboxes.count_out(tx, leaving=losing)
    for owner, end in last.items():
        own = [row for row in made if (row["community_id"], row["member_id"]) == owner and row["position"] is not None]
        for position, row in enumerate(own, end - len(own) + 1):
            if row["position"] != position:
                # Ascending, one by one: each moves to a place that is free by then, as the unique index wants it.
                await messages.set_position(tx, message_id=row["id"], position=position)
                row["position"] = position
