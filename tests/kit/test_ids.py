"""Ids in C are the ids of the standard library."""

from uuid import UUID, uuid4
from uuid import uuid5 as by_the_book

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ids import to_uuid, uuid5


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_computed_id_is_the_one_the_standard_library_computes(namespace: UUID, name: str) -> None:
    assert uuid5(namespace, name) == by_the_book(namespace, name)


def test_an_id_cannot_be_told_from_the_other_kind() -> None:
    other = uuid4()
    for id in (to_uuid(other.hex), to_uuid(str(other)), to_uuid(other.bytes)):
        assert isinstance(id, UUID)
        assert (id, hash(id), str(id), id.hex, id.bytes) == (other, hash(other), str(other), other.hex, other.bytes)
        assert {other: 1}[id] == 1
        assert msgspec.json.encode(id) == msgspec.json.encode(other)
    assert sorted([to_uuid(UUID(int=2).hex), UUID(int=1)]) == [UUID(int=1), UUID(int=2)]


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="UUID"):
        to_uuid("23")
