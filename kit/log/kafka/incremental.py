"""The request that changes single settings of a topic, which the client lacks.

The one it has replaces all settings of a topic: what somebody else had set, or sets in that moment, would be gone.
"""

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

TOPIC, SET = 2, 0


class IncrementalAlterConfigsResponse(Response):  # type: ignore[misc]  # the client ships no types
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class IncrementalAlterConfigsStruct(RequestStruct):  # type: ignore[misc]  # the client ships no types
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class SetTopicConfigs(Request[IncrementalAlterConfigsStruct]):  # type: ignore[misc]  # the client ships no types
    """Set the given settings of one topic and leave all others alone."""

    API_KEY = 44

    def __init__(self, topic: str, values: dict[str, str]) -> None:
        self._resource = (TOPIC, topic, [(name, SET, value) for name, value in values.items()])

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([self._resource], False)
