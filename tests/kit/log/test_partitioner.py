"""The partition of a key is the one every Kafka client computes."""

import os
import random

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_the_client

from kit.log.partitioner import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_the_hash_is_the_one_of_kafkas_own_tests(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF


def test_any_key_has_the_partition_that_the_client_gives_it() -> None:
    draw = random.Random(5)
    for _ in range(2000):
        key = os.urandom(draw.randrange(0, 40))
        assert murmur2(key) & 0xFFFFFFFF == murmur2_of_the_client(key) & 0xFFFFFFFF
        assert partition_of(key, 12) == (murmur2_of_the_client(key) & 0x7FFFFFFF) % 12
