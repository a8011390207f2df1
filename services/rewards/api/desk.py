"""Where sheets of paper are drawn for requests: one at a time, for a few who wait, and the last ones kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

from kit.errors import Unavailable

MOST_WAITING = 8
"""Drawing takes some tenths of a second: who would wait longer than for these is better told to come again."""
WAIT_SECONDS = 10.0
MOST_KEPT = 32
"""Files of up to about 100 kB."""


class Desk:
    """One of a process."""

    def __init__(self) -> None:
        # A pool of one and no lock: who went away lets go of a lock, while the thread goes on drawing.
        self._pen = ThreadPoolExecutor(1, "drawing")
        self._asking: set[Hashable] = set()
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    @property
    def kept(self) -> int:
        return len(self._kept)

    async def sheet(self, what: Hashable, whose: Hashable, draw: Callable[[], bytes]) -> bytes:
        """What `draw` makes, called in a thread; `what` says everything that it makes it from. Unavailable at once
        where too many wait or a drawing of `whose` is asked for already, later where it takes too long."""
        if what in self._kept:
            self._kept.move_to_end(what)
            return self._kept[what]
        if whose in self._asking:
            raise Unavailable("another of yours is being drawn; try again", code="drawing_busy", retry_after=1)
        if len(self._asking) > MOST_WAITING:
            raise Unavailable("others are being drawn; try again", code="drawing_busy", retry_after=3)
        self._asking.add(whose)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                drawn = await asyncio.get_running_loop().run_in_executor(self._pen, draw)
        except TimeoutError as error:
            raise Unavailable("others are being drawn; try again", code="drawing_busy", retry_after=3) from error
        finally:
            self._asking.discard(whose)
        self._kept[what] = drawn
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return drawn
