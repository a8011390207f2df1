"""Where sheets of paper are drawn for requests: one at a time, for a few who wait, and the last ones kept."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Request
from starlette.responses import Response

from kit.auth import Principal
from kit.errors import BadRequest, Unavailable, Unprocessable
from kit.http import runtime_of
from kit.service import ServiceRuntime
from services.rewards.api.common import SERVICE
from services.rewards.domain.paper import Format, Paper, Undrawable, clusters

One = Annotated[ServiceRuntime, Depends(runtime_of(SERVICE))]
TYPES: dict[Format, str] = {"png": "image/png", "pdf": "application/pdf"}
A_FILE: dict[str, Any] = {
    "content": {type: {"schema": {"type": "string", "format": "binary"}} for type in TYPES.values()},
    "description": "The file",
}
"""The answer of a route, for its documentation."""

Code = Annotated[str, Path(pattern=r"^[0-9A-Fa-f-]{32,40}$", description="With or without hyphens.")]
"""What stands on a sheet and verifies it."""

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{0,260}")
"""A name of the DNS, or an address, and a port; none at all in a request of HTTP/1.0."""

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


async def drawn(
    one: ServiceRuntime, caller: Principal, member_id: UUID, paper: Paper, format: Format, name: str
) -> Response:
    """The answer with a member's sheet as a file of this name. Unprocessable where a text on it cannot be drawn."""
    desk: Desk = one.memory.setdefault("drawing", Desk())
    # A key asks for many members: what counts as one who waits is whom it asks for.
    whose = caller.actor, member_id
    try:
        body = await desk.sheet((paper, format), whose, partial(_draw, paper, format, one.settings.certificate_font))
    except Undrawable as error:
        raise Unprocessable(_said(error.letters), code="name_undrawable", letters=error.letters) from error
    headers = {"Content-Disposition": f'inline; filename="{name}.{format}"', "Cache-Control": "private, no-cache"}
    return Response(body, media_type=TYPES[format], headers=headers)


def _said(letters: str) -> str:
    if not clusters(letters):
        return "a name that is to stand here has nothing that can be seen"
    return f"no font here has {letters!r}; if these are letters, GUILDHALL_CERTIFICATE_FONT may name one that has them"


def _draw(paper: Paper, format: Format, font: str) -> bytes:
    # The libraries that draw take longer to load than everything else: only who draws loads them.
    drawn: bytes = import_module("services.rewards.drawing").draw(paper, format, font)
    return drawn


def base_of(one: ServiceRuntime, request: Request) -> str:
    """Where this installation is reached; without a setting what the caller reached it by."""
    if one.settings.public_url:
        return one.settings.public_url.rstrip("/")
    # Whoever asks writes this header, and it comes to stand on paper.
    if not _HOST.fullmatch(request.headers.get("host", "")):
        raise BadRequest("the Host header is no address that could stand on paper", code="host_invalid")
    return str(request.base_url).rstrip("/")
