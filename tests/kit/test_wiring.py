"""Services that do not fit together are refused before anything is started (design rule 9)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kit import contracts
from kit.clock import system_clock
from kit.contracts import contract
from kit.contracts.events import Activity
from kit.contracts.members import CommunityChanged, MemberChanged
from kit.contracts.platform import KeyUsed
from kit.database import Tx, metadata_for, open_database
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime, WiringError, check_wiring, handlers_of, topics
from kit.service import Service
from kit.settings import load_settings
from services.compose import SERVICES, compose


async def handle(tx: Tx, batch: list[object]) -> None:
    """A handler that does nothing."""


def service(name: str, **more: object) -> Service:
    base = Service(name, (), (name,), (), {}, metadata_for(name), Path())
    return replace(base, **more)  # type: ignore[arg-type]  # the fields of Service


def test_the_products_own_wiring_is_whole() -> None:
    check_wiring(SERVICES, SERVICES)
    for one in SERVICES:
        check_wiring([one], SERVICES)


def test_an_event_has_one_publisher() -> None:
    a, b = service("a", publishes=(MemberChanged,)), service("b", publishes=(MemberChanged,))
    with pytest.raises(WiringError, match="MemberChanged is published by a and by b"):
        check_wiring([a], [a, b])


def test_an_event_goes_to_a_topic_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # Registered in copies: the contracts of the product stay as they are.
    monkeypatch.setattr(contracts, "_BY_CLASS", dict(contracts._BY_CLASS))
    monkeypatch.setattr(contracts, "_BY_TYPE", dict(contracts._BY_TYPE))

    @contract("guildhall.nowhere", key=lambda e: "k")
    class OfNowhere:
        pass

    with pytest.raises(WiringError, match=r"OfNowhere goes to an unknown topic guildhall\.nowhere"):
        check_wiring([], [service("a", publishes=(OfNowhere,))])


def test_a_subscription_is_to_something_that_somebody_publishes() -> None:
    a = service("a", subscriptions={MemberChanged: handle})
    with pytest.raises(WiringError, match="a subscribes to MemberChanged, which nobody publishes"):
        check_wiring([a], [a])
    check_wiring([a], [a, service("b", publishes=(MemberChanged,))])


def test_activity_and_the_use_of_a_key_have_no_publisher_by_contract() -> None:
    a = service("a", subscriptions={Activity: handle, KeyUsed: handle})
    check_wiring([a], [a])


def test_a_path_prefix_belongs_to_one_service() -> None:
    a, b = service("a", prefixes=("things",)), service("b", prefixes=("more", "things"))
    with pytest.raises(WiringError, match="/v1/things belongs to a and to b"):
        check_wiring([a], [a, b])


def test_what_does_not_fit_is_found_when_the_process_is_composed() -> None:
    a, b = service("a", publishes=(MemberChanged,)), service("b", publishes=(MemberChanged,))
    settings = load_settings({}, secret_key="s" * 32)
    with pytest.raises(WiringError):
        Runtime(
            [a], everyone=[a, b], settings=settings, clock=system_clock, log=EmbeddedLog(Path("never")), open_db=None
        )  # type: ignore[arg-type]  # refused before a database is asked for


def test_copies_are_kept_before_the_services_own_handlers_run() -> None:
    merged = handlers_of(service("a", subscriptions={CommunityChanged: handle, Activity: handle}))
    assert merged[CommunityChanged][-1] is handle
    assert len(merged[CommunityChanged]) == 2
    assert merged[Activity] == [handle]


def test_only_state_is_compacted_and_all_else_is_kept_for_the_retention() -> None:
    made = {t.name: t for t in topics(load_settings({}, log_retention_days=3))}
    assert [name for name, t in made.items() if t.compacted] == ["guildhall.members"]
    assert {t.retention.days for t in made.values() if t.retention is not None} == {3}
    assert made["guildhall.members"].retention is None


async def test_a_schema_that_is_not_at_head_refuses_to_start_and_says_what_to_do(tmp_path: Path) -> None:
    runtime = compose(load_settings({}, data_dir=tmp_path))
    with pytest.raises(WiringError, match="run `guildhall migrate`"):
        await runtime.start(migrating=False)
    await runtime.stop()


async def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    from kit.log import LogUnavailable

    settings = load_settings({}, data_dir=tmp_path)
    first, second = compose(settings), compose(settings)
    await first.start(migrating=True)
    with pytest.raises(LogUnavailable, match="one process"):
        await second.start(migrating=True)
    await second.stop()
    await first.stop()


async def test_constructing_everything_connects_to_nothing(tmp_path: Path) -> None:
    """Nothing connects at import or construction (design rule 11): the addresses lead nowhere."""
    away = {"database_url": "postgresql+asyncpg://u@192.0.2.1/d", "kafka": "192.0.2.1:9092", "secret_key": "s" * 32}
    async with asyncio.timeout(60):
        runtime = compose(load_settings({}, data_dir=tmp_path, **away))
        for one in runtime.services.values():
            await one.db.close()


def test_opening_a_database_makes_no_file(tmp_path: Path) -> None:
    open_database("members", system_clock, metadata=metadata_for("members"), directory=tmp_path)
    assert list(tmp_path.iterdir()) == []
