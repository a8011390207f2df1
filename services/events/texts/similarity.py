"""A hash that is nearly the same for texts that are nearly the same (SimHash), and says nothing to who has no key.

Sixty-four bits, one for each question "do more of the text's pieces say yes than no"; what a piece says is a keyed
hash of it. Two texts are alike where few bits differ: `distance` counts them. Without a key the hash of a short
text could be found by trying texts; with it, only by who may post into the community and read what became of it.
"""

import re
import unicodedata
from hashlib import blake2b
from struct import unpack_from

LEAST_PIECES = 8
"""A text with fewer different pieces has no hash: it would be a name for that text."""

MOST_READ = 2_000
_FOUR, _TWO = "Q", "I"
"""Characters (of UTF-16) of a piece, as the numbers that their bytes are: four, or two of writings whose characters
are syllables or words."""

_BITS = 64
_LOW = int.from_bytes(b"\1" * _BITS, "little")
_MOST_OF_A_LANE = 255
_WIDE = 2
"""Bytes of a lane where all pieces of a long text are counted."""

_WIDE_LOW = int.from_bytes(b"\1\0" * _BITS, "little")
_WIDE_HIGH = _WIDE_LOW << 15
_DIGITS = bytes.maketrans(b"\0\1", b"01")
_NUMBER = re.compile(r"\d+")

ROOM = 32_768
"""Pieces of all communities that a process remembers, at about 250 bytes each; then it begins anew."""


class Pieces(dict[int, int]):
    """What each piece says, as a number with a byte for each bit: adding those of a text up counts all bits at once.

    Remembered, because the pieces of a language are few and come again and again: ten times cheaper than hashing.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._start = blake2b(key=key, digest_size=_BITS)

    def __missing__(self, piece: int) -> int:
        state = self._start.copy()
        state.update(piece.to_bytes(8, "little"))
        said = self[piece] = int.from_bytes(state.digest(), "little") & _LOW
        return said


def normalised(text: str) -> str:
    """As it is compared: compatible forms are one (NFKC), case and the width of gaps are nothing, any number is 0."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(_NUMBER.sub("0", text.casefold()).split())


def similarity(text: str, pieces: Pieces) -> str | None:
    """Sixteen hex digits, or None for a text too short to have one without being told by it."""
    plain = normalised(text[:MOST_READ])
    found = _pieces(plain)
    if len(found) < LEAST_PIECES:
        return None
    # In each lane the highest bit becomes 1 where more than half of the pieces said yes.
    more = _counts(found, pieces) + ((1 << 15) - len(found) // 2 - 1) * _WIDE_LOW & _WIDE_HIGH
    answers = (more >> 15).to_bytes(_BITS * _WIDE, "little")[::_WIDE]
    return f"{int(answers.translate(_DIGITS), 2):016x}"


_ALPHABETS = bytes(range(0x2E))
"""High bytes of the characters of alphabets; from 0x2E on East Asia's follow."""


def _pieces(plain: str) -> set[int]:
    """All runs of four (two) characters, those that overlap as well, as numbers: cutting strings would take longer
    than everything else here."""
    units = plain.encode("utf-16-le", "surrogatepass")
    dense = not plain.isascii() and 2 * len(units[1::2].translate(None, _ALPHABETS)) > len(plain)
    shape, size = (_TWO, 4) if dense else (_FOUR, 8)
    found: set[int] = set()
    for start in range(0, size, 2):
        found.update(unpack_from(f"<{max(0, len(units) - start) // size}{shape}", units, min(start, len(units))))
    return found


def _counts(found: set[int], pieces: Pieces) -> int:
    """How many of them said yes, bit by bit, in wide lanes."""
    if len(found) <= _MOST_OF_A_LANE:
        return _widened(sum(map(pieces.__getitem__, found)))
    said = list(map(pieces.__getitem__, found))
    steps = range(0, len(said), _MOST_OF_A_LANE)
    return sum(_widened(sum(said[start : start + _MOST_OF_A_LANE])) for start in steps)


def _widened(counts: int) -> int:
    lanes = bytearray(_BITS * _WIDE)
    lanes[::_WIDE] = counts.to_bytes(_BITS, "little")
    return int.from_bytes(lanes, "little")


def distance(one: str, other: str) -> int:
    """In how many of the 64 bits two hashes of a community differ; of texts that have nothing in common about 32."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
