"""Keyset pages and entity tags: what a client may rely on, and what it may not make up."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import BadRequest
from kit.http import decode_cursor, encode_cursor
from tests.kit.stand import Stand

PAGES = "/v1/scratch/pages"
VERSIONED = "/v1/scratch/versioned/7"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=6))
def test_a_position_comes_back_from_its_cursor(position: list[object]) -> None:
    cursor = encode_cursor(position)
    assert decode_cursor(cursor) == position
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# "), "it stands in an address as it is"


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_of_ours_or_refused(text: str) -> None:
    with suppress(BadRequest):
        assert isinstance(decode_cursor(text), list)


async def test_a_page_has_fifty_items_unless_asked_and_never_more_than_two_hundred(stand: Stand) -> None:
    assert (await stand.client.get(PAGES)).json() == {"limit": 50, "cursor": None}
    assert (await stand.client.get(PAGES, params={"limit": 200})).json()["limit"] == 200
    for limit in ("0", "201", "-1", "many"):
        reply = await stand.client.get(PAGES, params={"limit": limit})
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/query/limit")


async def test_a_route_gets_the_position_that_was_given_out(stand: Stand) -> None:
    position = [datetime(2026, 1, 1, tzinfo=UTC).isoformat(), str(uuid4()), 5]
    reply = await stand.client.get(PAGES, params={"cursor": encode_cursor(position)})
    assert reply.json()["cursor"] == position


@pytest.mark.parametrize("cursor", ["rubbish!", "bm90IGpzb24", "e30", "Wzxd", "é"])
async def test_a_cursor_that_is_not_ours_is_refused(stand: Stand, cursor: str) -> None:
    reply = await stand.client.get(PAGES, params={"cursor": cursor})
    assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize("tag", ['"7"', "*", '"6", "7"', None])
async def test_who_names_the_present_version_or_none_may_change_it(stand: Stand, tag: str | None) -> None:
    reply = await stand.client.put(VERSIONED, headers={"If-Match": tag} if tag else {})
    assert (reply.status_code, reply.headers["etag"]) == (204, '"8"')


@pytest.mark.parametrize("tag", ['"6"', "7", 'W/"7"', '""'])
async def test_who_names_another_version_would_lose_an_update_and_gets_412(stand: Stand, tag: str) -> None:
    reply = await stand.client.put(VERSIONED, headers={"If-Match": tag})
    assert (reply.status_code, reply.json()["code"], reply.json()["current"]) == (412, "version_changed", '"7"')
