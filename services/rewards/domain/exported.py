"""A ledger as a file that anybody can verify: for each block a line that names it, then a line for each transaction in
it, as it was hashed."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.rewards.domain.chain import NO_HASH, Block, Transaction, block_hash, written

_LINES = 13
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
    balances: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def exported(block: Block, transactions: Sequence[Transaction]) -> Iterator[bytes]:
    """A block's lines."""
    head = {
        "block": block.number,
        "community": str(block.community_id),
        "transactions": len(transactions),
        "hash": block.hash.hex(),
        "sealed_at": block.sealed_at.isoformat(),
    }
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
    return checked


def _parsed(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise NoExport(f"line {number}: no JSON") from error


def _check_block(checked: Checked, head: dict[str, Any], inside: list[bytes]) -> None:
    number = len(checked.hashes) + 1
    before = bytes.fromhex(checked.hashes[-1]) if checked.hashes else NO_HASH
    made = block_hash(before, number, inside).hex()
    if head.get("block") != number:
        checked.faults.append(f"block {head.get('block')} stands where block {number} should")
    if made != head.get("hash"):
        checked.faults.append(f"block {number} or something in it was changed")
    if checked.community not in ("", head.get("community")):
        checked.faults.append(f"block {number} is of another community")
    checked.community = str(head.get("community"))
    # As computed: with another block before it, a block has another hash whatever the file says.
    checked.hashes.append(made)


def _check_transaction(checked: Checked, number: int, transaction: Any) -> None:
    try:
        sums: Counter[str] = Counter()
        for line in transaction[_LINES]:
            sums[line[_UNIT]] += line[_AMOUNT]
            checked.balances[line[_OWNER], line[_UNIT]] += line[_AMOUNT]
        off = {unit: total for unit, total in sums.items() if total}
        if transaction[1] != checked.community:
            checked.faults.append(f"line {number}: transaction {transaction[0]} is of another community")
    except (TypeError, IndexError, KeyError) as error:
        raise NoExport(f"line {number}: no transaction") from error
    checked.transactions += 1
    for unit, total in off.items():
        checked.faults.append(f"line {number}: transaction {transaction[0]} sums to {total} {unit}")
