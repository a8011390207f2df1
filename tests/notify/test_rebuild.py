"""A service whose database was lost knows everybody again from the log alone (K23)."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from kit.log import Log
from kit.log.embedded import EmbeddedLog
from kit.log.kafka import KafkaLog
from tests.notify.support import Place, serving
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

OpenLog = Callable[[], Log]


@pytest.fixture
def open_log(engine: str, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> OpenLog:
    """The log that goes with the database, opened as often as asked."""
    if engine == "sqlite":
        return lambda: EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    broker = request.getfixturevalue("kafka_broker")
    prefix = f"rebuild-{uuid4()}."
    return lambda: KafkaLog(broker.bootstrap, partitions=3, replication=1, client_id="test", prefix=prefix)


async def test_with_an_empty_database_it_learns_communities_members_and_keys_again_by_itself(
    make_database: MakeDatabase, open_log: OpenLog, clock: ManualClock, tmp_path: Path
) -> None:
    async with serving(await make_database("notify"), open_log(), clock, tmp_path) as before:
        ann = await before.place.member("Ann", locale="zh-CN")
        await before.place.member("Ann", id=ann, version=2, locale="zh-CN", state="banned")
        ben = await before.place.member("Ben", locale="zh-CN")
        key = before.clients[0].headers["authorization"].removeprefix("Bearer ")
        place_id = before.place.id
    async with serving(await make_database("notify"), open_log(), clock, tmp_path) as after:
        place = Place(after, place_id, after.client(key))
        assert (await place.send(ben))["title"] == "积分 +50"
        assert (await place.send(ann))["reason"] == "not_a_member"
        stranger = {"member_id": str(uuid4()), "template": "level.reached"}
        assert (await place.client.post("/v1/messages", json=stranger)).status_code == 422


async def test_a_rebuild_cut_short_is_begun_again(
    make_database: MakeDatabase, open_log: OpenLog, clock: ManualClock, tmp_path: Path
) -> None:
    async with serving(await make_database("notify"), open_log(), clock, tmp_path) as before:
        people = [await before.place.member(f"P{n}") for n in range(3)]
        place_id = before.place.id
    half = await make_database("notify")
    async with half.begin() as tx:
        row = {"community_id": place_id, "member_id": people[0], "version": 1, "display_name": "P0", "state": "active"}
        await tx.execute(half.table("known_members").insert().values(**row, kind="person", locale=None, zone=None))
    async with serving(half, open_log(), clock, tmp_path) as after, after.db.read() as tx:
        known = {UUID(str(r.member_id)) for r in await tx.all(select(after.db.table("known_members")))}
    assert known == set(people)
