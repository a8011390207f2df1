"""Identities: linked to a member by hand or by a code said in a chat, and taken off again where that is safe."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from uuid import UUID

from kit import copies, outbox
from kit.contracts.members import IdentityLinked
from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, TooManyRequests, Unprocessable
from kit.metrics import LINK_CODES
from services.members import domain
from services.members.domain import Member
from services.members.handlers.erasing import ERASED, refuse_erased
from services.members.handlers.people import announce, existing, identity_row, new_member, save, transition
from services.members.store import people

CODE_LIFETIME = timedelta(minutes=10)
ATTEMPT_SECONDS = 900
ATTEMPTS = 5
"""So many codes may one identity try in each quarter of an hour."""


async def link_identity(tx: Tx, *, community_id: UUID, member_id: UUID, identity: str) -> Member:
    """From now on `identity` is this member, also for every other service. The member; a second time changes nothing.

    Conflict `identity_in_use` when it is another's, `merge_required` when it was seen and is a member of its own:
    what that one did and earned would have to move, and members cannot be merged yet. `member_erased` when it was
    somebody's who was erased.
    """
    member = await existing(tx, community_id, member_id, lock=True)
    if member.state == ERASED:
        raise Conflict("this member was erased", code="member_erased")
    own = domain.own_member_id(community_id, identity)
    if own != member_id:
        await refuse_erased(tx, community_id, own)
    row = identity_row(community_id, identity, member_id, linked=own != member_id, at=tx.now, seen_at=None)
    if not await people.add_identities(tx, rows=[row]):
        return await _there_already(tx, member, identity, own)
    if own != member_id:
        if await people.member(tx, community_id=community_id, member_id=own) is not None:
            raise Conflict("this identity was seen and is a member of its own", code="merge_required")
        await _announce_link(tx, community_id, identity, member_id, 1)
    return await save(tx, member)


async def _there_already(tx: Tx, member: Member, identity: str, own: UUID) -> Member:
    """The identity is known: fine when it is this member's, or was taken off one before and never seen since."""
    row = await people.identity(tx, community_id=member.community_id, identity=identity, lock=True)
    assert row is not None
    if row.member_id == member.id:
        return member
    if row.member_id != own:
        raise Conflict("this identity belongs to another member", code="identity_in_use")
    holder = await people.member(tx, community_id=member.community_id, member_id=own)
    if holder is not None:
        if holder.state == "observed":
            raise Conflict("this identity was seen and is a member of its own", code="merge_required")
        raise Conflict("this identity belongs to another member", code="identity_in_use")
    await people.give_identity(
        tx,
        community_id=member.community_id,
        identity=identity,
        member_id=member.id,
        version=row.version + 1,
        linked=True,
    )
    await _announce_link(tx, member.community_id, identity, member.id, row.version + 1)
    return await save(tx, member)


async def _announce_link(tx: Tx, community_id: UUID, identity: str, member_id: UUID, version: int) -> None:
    event = IdentityLinked(community_id=community_id, identity=identity, member_id=member_id, version=version)
    outbox.add(tx, event)
    await copies.apply(tx, [event])


async def unlink_identity(tx: Tx, *, community_id: UUID, member_id: UUID, identity: str, actor: str) -> Member:
    """Take a linked identity off its member; what it did while linked stays theirs. The member.

    If the identity was ever seen, it is a member of its own from now on, in state `observed`. Conflict
    `identity_native` for the identity that a member's id is computed from: every service knows them by it.
    """
    member = await existing(tx, community_id, member_id, lock=True)
    row = await people.identity(tx, community_id=community_id, identity=identity, lock=True)
    if row is None or row.member_id != member_id:
        raise NotFound("this member has no such identity", code="identity_unknown")
    own = domain.own_member_id(community_id, identity)
    if own == member_id:
        raise Conflict("this member exists by this identity; it cannot be taken off", code="identity_native")
    await people.give_identity(
        tx, community_id=community_id, identity=identity, member_id=own, version=row.version + 1, linked=False
    )
    await _announce_link(tx, community_id, identity, own, row.version + 1)
    if row.first_seen_at is not None:
        seen = new_member(
            tx,
            community_id,
            own,
            name=domain.name_of(identity),
            state="observed",
            kind=member.kind,
            state_at=row.first_seen_at,
        )
        if await people.add_members(tx, members=[seen]):
            history = transition(tx, seen, None, actor=actor, reason=f"unlinked from {member_id}")
            await people.add_transitions(tx, rows=[history])
            await announce(tx, [seen])
    return await save(tx, member)


async def make_code(tx: Tx, *, community_id: UUID, member_id: UUID, secret_key: str) -> str:
    """A code the member says in a chat to prove that an identity there is theirs; ten minutes, once.

    An earlier code of the member ends.
    """
    member = await existing(tx, community_id, member_id, lock=True)
    if member.state == ERASED:
        raise Conflict("this member was erased", code="member_erased")
    code = "".join(secrets.choice(domain.CODE_ALPHABET) for _ in range(domain.CODE_LENGTH))
    digest = _digest(secret_key, community_id, code)
    await people.add_code(
        tx, community_id=community_id, digest=digest, member_id=member_id, expires_at=tx.now + CODE_LIFETIME
    )
    return code


async def too_many_attempts(tx: Tx, *, community_id: UUID, identity: str) -> TooManyRequests | None:
    """Count one more try of this identity; the refusal, with the seconds to wait, beyond the limit.

    In a transaction of its own, and returned instead of raised, so that a refusal does not undo the count. A code
    that was right clears it.
    """
    now = int(tx.now.timestamp())
    attempts = await people.count_attempt(
        tx, community_id=community_id, identity=identity, period=now // ATTEMPT_SECONDS
    )
    if attempts <= ATTEMPTS:
        return None
    LINK_CODES.labels("throttled").inc()
    wait = ATTEMPT_SECONDS - now % ATTEMPT_SECONDS
    return TooManyRequests("this identity tried too many codes; wait", code="too_many_attempts", retry_after=wait)


async def confirm_code(tx: Tx, *, community_id: UUID, code: str, identity: str, secret_key: str) -> UUID:
    """Link the identity that said the code; returns the member. Unprocessable for a code that is not good.

    Of two that say one code at once, one gets it. A Conflict of `link_identity` leaves the code as it was.
    """
    clean = domain.clean_code(code)
    member_id = None
    if clean is not None:
        digest = _digest(secret_key, community_id, clean)
        member_id = await people.take_code(tx, community_id=community_id, digest=digest)
    if member_id is None:
        LINK_CODES.labels("refused").inc()
        wrong = FieldError("/code", "code_unknown", "wrong, used or expired; ask for a new one")
        raise Unprocessable("this code is not good", code="code_unknown", errors=[wrong])
    await link_identity(tx, community_id=community_id, member_id=member_id, identity=identity)
    await people.forget_attempts(tx, community_id=community_id, identity=identity)
    tx.after_commit.append(LINK_CODES.labels("linked").inc)
    return member_id


def _digest(secret_key: str, community_id: UUID, code: str) -> str:
    """Codes are short, so their hash is keyed: a stolen table does not give them away."""
    return hmac.new(secret_key.encode(), f"link code\n{community_id}\n{code}".encode(), hashlib.sha256).hexdigest()
