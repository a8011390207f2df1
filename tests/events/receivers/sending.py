"""What a platform's side does: payloads it sent or would send, signed with a secret."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.events.receivers.form import Delivery
from tests.journeys.data import FOLDER

RECORDED = FOLDER / "payloads"
OWN = Path(__file__).parent / "payloads"
AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""When the deliveries of these tests arrive."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One payload as it was (recorded, in the shared data) or would be sent (ours)."""

    name: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sender:
    """`secrets` are two that differ, as this platform has them. `deliver(sample, secret, at)` is the request.

    `signs_body` and `signs_time`: whether an altered body, or an old request sent again, can be told at all.
    """

    platform: str
    secrets: tuple[Any, Any]
    deliver: Callable[[Sample, Any, datetime], Delivery]
    samples: Callable[[], Iterator[Sample]]
    settings: Any = None
    signs_body: bool = True
    signs_time: bool = False


def files(platform: str, recorded: str) -> Iterator[Path]:
    """Payload files of a platform: those of the shared data's folder where it is at hand, then ours."""
    for folder in (RECORDED / recorded, OWN / platform):
        if folder.exists():
            yield from sorted(path for path in folder.iterdir() if path.is_file())
