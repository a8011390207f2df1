"""The journeys of the embedded platform, taken through the gateway: the same tests, at another address."""

import pytest

from tests.journeys.test_activity_journey import (
    test_a_check_in_can_be_followed_from_the_door_to_the_message,
    test_the_live_tail_tells_the_activity_and_then_what_it_was_worth,
)
from tests.journeys.test_cloudevents_sdk import (
    test_a_batch_made_of_the_first_interfaces_dictionaries_arrives,
    test_a_batch_of_events_arrives_each_with_its_answer,
    test_an_event_of_the_sdk_arrives_in_either_mode,
    test_an_event_of_the_sdks_first_interface_arrives,
    test_an_event_without_any_data_arrives,
    test_extension_attributes_of_others_do_not_disturb,
    test_one_event_in_three_modes_is_one_event,
)
from tests.support.gateway import Through

__all__ = [
    "test_a_batch_made_of_the_first_interfaces_dictionaries_arrives",
    "test_a_batch_of_events_arrives_each_with_its_answer",
    "test_a_check_in_can_be_followed_from_the_door_to_the_message",
    "test_an_event_of_the_sdk_arrives_in_either_mode",
    "test_an_event_of_the_sdks_first_interface_arrives",
    "test_an_event_without_any_data_arrives",
    "test_extension_attributes_of_others_do_not_disturb",
    "test_one_event_in_three_modes_is_one_event",
    "test_the_live_tail_tells_the_activity_and_then_what_it_was_worth",
]


@pytest.fixture
def platform(through: Through) -> Through:
    """What the journeys are taken on."""
    return through


@pytest.fixture
def app(through: Through) -> Through:
    """What the journeys are taken on."""
    return through
