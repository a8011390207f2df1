"""A ledger as a file that anybody can verify: for each block a line that names it, then a line for each transaction in
it, as it was hashed, or as an erasure left it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.rewards.domain.chain import NO_HASH, Block, Transaction, block_hash, digest, written
from services.rewards.domain.erasing import Erased, commitment
from services.rewards.domain.ledger import ERASURE_RECORD

_CONTENT, _KIND, _LINES = 3, 4, 13
_OWNER, _UNIT, _AMOUNT = 1, 2, 3


class NoExport(ValueError):
    """The file is no export of a ledger; the message says where."""


@dataclass(slots=True)
class Checked:
    """What was found in a file. `hashes` are those of its blocks, the first is number 1; `balances` what the entries
    sum to, by (owner, unit)."""

    community: str = ""
    hashes: list[str] = field(default_factory=list)
    transactions: int = 0
    erased: int = 0
    balances: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)
    """Each transaction that commits to erased entries → its commitment."""
    committed: dict[str, list[Erased]] = field(default_factory=dict)


def exported(
    block: Block, transactions: Sequence[Transaction], erased: Mapping[UUID, Sequence[Erased]]
) -> Iterator[bytes]:
    """A block's lines."""
    head: dict[str, Any] = {
        "block": block.number,
        "community": str(block.community_id),
        "transactions": len(transactions),
        "hash": block.hash.hex(),
        "sealed_at": block.sealed_at.isoformat(),
    }
    if erased:
        times = [one for some in erased.values() for one in some]
        head["erased"] = [
            [str(one.transaction_id), one.number, str(one.record_id), one.original.hex(), one.digest.hex()]
            for one in sorted(times)
        ]
    yield json.dumps(head).encode()
    yield from map(written, transactions)


def check(lines: Iterable[bytes]) -> Checked:
    """Follow the chain through a file; NoExport for one that cannot be read as one."""
    checked, numbered = Checked(), enumerate(lines, 1)
    for number, line in numbered:
        head = _parsed(number, line)
        if not isinstance(head, dict) or not isinstance(head.get("transactions"), int):
            raise NoExport(f"line {number}: a block was expected")
        inside = [next(numbered, (0, b""))[1].rstrip(b"\n") for _ in range(head["transactions"])]
        if inside and not inside[-1]:
            raise NoExport(f"line {number}: the file ends before its block does")
        _check_block(checked, head, inside)
        for offset, one in enumerate(inside, number + 1):
            _check_transaction(checked, offset, _parsed(offset, one))
    _check_records(checked)
    return checked


def _parsed(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise NoExport(f"line {number}: no JSON") from error


def _check_block(checked: Checked, head: dict[str, Any], inside: list[bytes]) -> None:
    number = len(checked.hashes) + 1
    before = bytes.fromhex(checked.hashes[-1]) if checked.hashes else NO_HASH
    times = _erased_in(head)
    made = block_hash(before, number, [_sealed_as(checked, number, one, times) for one in inside]).hex()
    if head.get("block") != number:
        checked.faults.append(f"block {head.get('block')} stands where block {number} should")
    if made != head.get("hash"):
        checked.faults.append(f"block {number} or something in it was changed")
    if checked.community not in ("", head.get("community")):
        checked.faults.append(f"block {number} is of another community")
    checked.community = str(head.get("community"))
    # As computed: with another block before it, a block has another hash whatever the file says.
    checked.hashes.append(made)


def _erased_in(head: dict[str, Any]) -> dict[str, list[Erased]]:
    out: dict[str, list[Erased]] = {}
    try:
        for id, number, record, original, made in head.get("erased", ()):
            one = Erased(UUID(id), number, UUID(record), bytes.fromhex(original), bytes.fromhex(made))
            out.setdefault(id, []).append(one)
    except (TypeError, ValueError) as error:
        raise NoExport(f"block {head.get('block')}: what was erased of it cannot be read") from error
    return {id: sorted(times) for id, times in out.items()}


def _sealed_as(checked: Checked, number: int, line: bytes, erased: Mapping[str, Sequence[Erased]]) -> bytes:
    """What the line went into the block by; notes which commitments it has to be found in."""
    made, transaction = digest(line), _parsed(number, line) if erased else None
    times = erased.get(str(transaction[0]), ()) if isinstance(transaction, list) and transaction else ()
    if not times:
        return made
    if made != times[-1].digest:
        checked.faults.append(
            f"block {number}: transaction {times[0].transaction_id} was changed after its member was erased"
        )
    checked.erased += 1
    for one in times:
        checked.committed.setdefault(str(one.record_id), []).append(one)
    return times[0].original


def _check_records(checked: Checked) -> None:
    """Every commitment is of what is in the file, and everything erased in one that is."""
    for id in checked.records.keys() | checked.committed.keys():
        if id not in checked.records:
            checked.faults.append(f"transaction {id} commits to erased entries and is not in the file")
        elif checked.records[id] != commitment(checked.committed.get(id, ())).hex():
            checked.faults.append(f"transaction {id} commits to other erased entries than there are")


def _check_transaction(checked: Checked, number: int, transaction: Any) -> None:
    try:
        sums: Counter[str] = Counter()
        for line in transaction[_LINES]:
            sums[line[_UNIT]] += line[_AMOUNT]
            checked.balances[line[_OWNER], line[_UNIT]] += line[_AMOUNT]
        off = {unit: total for unit, total in sums.items() if total}
        if transaction[_KIND] == ERASURE_RECORD:
            checked.records[transaction[0]] = transaction[_CONTENT]
        if transaction[1] != checked.community:
            checked.faults.append(f"line {number}: transaction {transaction[0]} is of another community")
    except (TypeError, IndexError, KeyError) as error:
        raise NoExport(f"line {number}: no transaction") from error
    checked.transactions += 1
    for unit, total in off.items():
        checked.faults.append(f"line {number}: transaction {transaction[0]} sums to {total} {unit}")
