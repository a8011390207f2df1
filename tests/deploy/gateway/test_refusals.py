"""What the product refuses reads the same through the gateway, to the letter: nothing is lost or made up on the way."""

from pathlib import Path

from deploy.local.gateway import targets_of
from tests.journeys import (
    test_bad_input,
    test_bad_input_access,
    test_bad_input_addresses,
    test_bad_input_bodies,
    test_bad_input_rewards,
)
from tests.journeys.bad_input import world
from tests.support.clock import ManualClock
from tests.support.gateway import PREFIXES, gateway_before

TABLES = (
    test_bad_input,
    test_bad_input_access,
    test_bad_input_addresses,
    test_bad_input_bodies,
    test_bad_input_rewards,
)


async def test_every_refusal_of_the_product_passes_unchanged(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        with gateway_before(tmp_path / "gateway", targets_of(dict.fromkeys(PREFIXES, here.app.url))) as gateway:
            here.url = gateway.url
            for table in TABLES:
                answers = await here.answers({name: ask for name, (ask, _) in table.CASES.items()})
                for name, (_, wanted) in table.CASES.items():
                    assert answers[name] == wanted, f"{table.__name__}: {name}"
