"""What stays of who is erased: their entries under a pseudonym, and a commitment that lets the chain hold."""

import os
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from services.rewards.domain.chain import Line, Transaction
from services.rewards.domain.ledger import ADJUSTMENT, EXPIRY, GRANT, HOLD, SPEND

ERASED = "erased"
VERSION = b"guildhall erasure 1\n"

_NAMING = frozenset({GRANT, ADJUSTMENT, SPEND, HOLD, EXPIRY})
"""Kinds whose keys and hashes are computed from the member among other things: with the id of somebody, and what else
went in, they would tell which entries were theirs. The keys of other kinds are computed from transactions, and hold
what must not happen twice."""


class Erased(NamedTuple):
    """A transaction that erasures made another: what the chain is made with (`original`), and what stands there since
    its `number`-th time. `record_id` is the transaction that commits to it."""

    transaction_id: UUID
    number: int
    record_id: UUID
    original: bytes
    digest: bytes


def commitment(touched: Iterable[Erased]) -> bytes:
    """SHA-256 over a line that names the form, then of each in the order of the ids: 16 bytes of id, the number in two
    (big-endian), the 32 of the original digest and the 32 of the new one."""
    made = sha256(VERSION)
    for one in sorted(touched):
        made.update(one.transaction_id.bytes + one.number.to_bytes(2, "big") + one.original + one.digest)
    return made.digest()


def pseudonymised(t: Transaction, member_id: UUID, pseudonym: UUID) -> Transaction:
    """The transaction without the member; amounts, times and what it refers to stay."""
    lines = [line._replace(owner_id=pseudonym) if line.owner_id == member_id else line for line in t.lines]
    names = {name: renamed(getattr(t, name), member_id, pseudonym) for name in ("actor", "approver")}
    without = t._replace(lines=lines, **names)
    if t.kind not in _NAMING:
        return without
    return without._replace(idem_key=os.urandom(32), payload_hash=os.urandom(32))


def renamed(text: Any, member_id: UUID, pseudonym: UUID) -> Any:
    """A text without the id, in whichever of its two forms."""
    if not isinstance(text, str):
        return text
    return text.replace(str(member_id), str(pseudonym)).replace(member_id.hex, pseudonym.hex)


def sums_of(lines: Iterable[Line], owner_id: UUID) -> Mapping[str, int]:
    out: dict[str, int] = {}
    for line in lines:
        if line.owner_id == owner_id:
            out[line.unit] = out.get(line.unit, 0) + line.amount
    return out


def scrubbed(value: Any, said: Callable[[str], str]) -> Any:
    """JSON with every text in it as `said` says it, names of fields too."""
    if isinstance(value, str):
        return said(value)
    if isinstance(value, dict):
        return {said(name): scrubbed(inner, said) for name, inner in value.items()}
    if isinstance(value, list):
        return [scrubbed(inner, said) for inner in value]
    return value
