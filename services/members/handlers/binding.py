"""A code said in a chat (E11): the identity that said it becomes the member's whose code it is."""

from kit import outbox
from kit.contracts import Envelope
from kit.contracts.events import Activity
from kit.contracts.members import BindAnswered
from kit.database import Tx
from kit.errors import Conflict, GuildhallError
from services.members.handlers.identities import confirm_code, too_many_attempts

COMMAND, BIND = "command.invoked", "bind"
LINKED, REFUSED, THROTTLED, CONFLICT = "linked", "refused", "throttled", "conflict"


async def bind(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """Each as the route for confirmations would do it, and answered; nothing for history or what is told again."""
    for a in (e.event for e in batch):
        wanted = a.type == COMMAND and a.data.get("command") == BIND
        if not wanted or a.actor is None or a.actor.startswith("member:"):
            continue
        if a.import_name is not None or a.replay_id is not None or {"stale", "late", "throttled"} & set(a.flags):
            continue
        outbox.add(tx, await _answered(tx, a, a.actor))


async def _answered(tx: Tx, a: Activity, identity: str) -> BindAnswered:
    outcome, member_id = THROTTLED, None
    if await too_many_attempts(tx, community_id=a.community_id, identity=identity) is None:
        try:
            # What a code that is not good had changed is undone; that it was tried is not.
            async with tx.savepoint():
                member_id = await confirm_code(
                    tx,
                    community_id=a.community_id,
                    code=str(a.data.get("arguments", "")),
                    identity=identity,
                    secret_key=tx.database.secret,
                )
            outcome = LINKED
        except Conflict:
            outcome = CONFLICT
        except GuildhallError:
            outcome = REFUSED
    return BindAnswered(
        community_id=a.community_id, event_id=a.event_id, identity=identity, outcome=outcome, member_id=member_id
    )
