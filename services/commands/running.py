"""Work on the event loop, to its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from kit.declaration import WiringError
from kit.log import LogUnavailable, TopicMismatch
from kit.revisions import SchemaBeingFilled
from kit.settings import SettingsError
from services.commands.terminal import fail


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on uvloop; expected failures become one line and exit code 1."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(work)
        except (WiringError, SettingsError, LogUnavailable, TopicMismatch, SchemaBeingFilled, OSError) as error:
            fail(str(error))
