"""The form of a stored batch: records with their offsets, packed and compressed as one.

Two forms, told apart by their first element. As written: `[base, keys, values]`, the offsets following one another
from `base`. As compaction leaves it: a list of `(offset, key, value)`, with holes.
"""

from collections.abc import Sequence
from typing import Any

import cramjam
import msgspec

from kit.log import Record

Entry = tuple[int, bytes, bytes | None]
"""(offset, key, value)."""

MAX_RECORDS = 2000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int | list[Any]]).decode


def pack(base: int, records: Sequence[Record]) -> bytes:
    """Bytes of a batch whose first record has the offset `base`."""
    keys, values = zip(*records, strict=True)
    return bytes(cramjam.lz4.compress_block(_encode((base, keys, values))))


def pack_kept(entries: list[Entry]) -> bytes:
    """Bytes of what compaction left of a batch; the offsets are explicit."""
    return bytes(cramjam.lz4.compress_block(_encode(entries)))


def unpack(body: bytes) -> list[Entry]:
    """The entries of a batch, in offset order."""
    found: list[Any] = _decode(bytes(cramjam.lz4.decompress_block(body)))
    if not found or not isinstance(found[0], int):
        return [(offset, key, value) for offset, key, value in found]
    base, keys, values = found
    return list(zip(range(base, base + len(keys)), keys, values, strict=True))
