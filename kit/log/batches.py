"""The form of a stored batch: records with their offsets, packed and compressed as one."""

from typing import Any

import cramjam
import msgspec

Entry = tuple[int, bytes, bytes | None]
"""(offset, key, value)."""

MAX_RECORDS = 2000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes | None]]).decode


def pack(entries: list[Entry]) -> bytes:
    """Bytes of a batch; the offsets are explicit, so that compaction may leave holes."""
    return bytes(cramjam.lz4.compress_block(_encode(entries)))


def unpack(body: bytes) -> list[Any]:
    """The entries of a batch, in offset order."""
    return _decode(bytes(cramjam.lz4.decompress_block(body)))
