"""A real browser without a window, told what to do over a pipe (Chrome DevTools Protocol); no library needed."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from tests.support.require import missing

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0

# The browser reads what it is told from descriptor 3 and writes to 4.
LAUNCH = (
    "import fcntl,os,sys\n"
    "r,w=[fcntl.fcntl(int(n),fcntl.F_DUPFD,10) for n in sys.argv[1:3]]\n"
    "os.dup2(r,3)\nos.dup2(w,4)\nos.execvp(sys.argv[3],sys.argv[3:])\n"
)
OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

LOOK = """new Promise(done => {
  const there = () => { try { return %s; } catch { return false; } };
  const look = () => there() ? done(true) : setTimeout(look, 25);
  look();
})"""


class PageGone(Exception):
    """The page went elsewhere while it was being asked."""


@dataclass(slots=True)
class Page:
    """One tab. `errors` is everything its console complained of: scripts, policies, answers that failed."""

    browser: "Browser"
    session: str
    errors: list[str] = field(default_factory=list)

    async def go(self, url: str) -> None:
        await self.browser.call("Page.navigate", self.session, url=url)

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        answer = await self.browser.call(
            "Runtime.evaluate", self.session, expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until the expression is true, across pages."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(PageGone):
                    await self.ask(LOOK % expression)
                    return

    async def text(self, selector: str) -> str:
        return str(await self.ask(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def click(self, selector: str) -> None:
        with suppress(PageGone):
            await self.ask(f"document.querySelector({json.dumps(selector)}).click()")


class Browser:
    """The process and the conversation with it."""

    def __init__(self, reader: asyncio.StreamReader, write: int) -> None:
        self._reader = reader
        self._write = write
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    async def page(self) -> Page:
        """A new tab with cookies of its own."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable", session)
        return page

    async def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        told = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        os.write(self._write, json.dumps(told).encode() + b"\0")
        reply = await asyncio.wait_for(answer, PATIENCE)
        if "error" in reply:
            if "context" in reply["error"]["message"] or "navigated" in reply["error"]["message"]:
                raise PageGone(reply["error"]["message"])
            raise AssertionError(f"{method}: {reply['error']}")
        result: dict[str, Any] = reply["result"]
        return result

    async def listen(self) -> None:
        while True:
            message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message.get("sessionId") in self._pages:
                self._note(self._pages[message["sessionId"]], message["method"], message["params"])

    @staticmethod
    def _note(page: Page, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            page.errors.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            page.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())


@asynccontextmanager
async def browsing(program: str, directory: str) -> AsyncIterator[Browser]:
    to_browser, from_us = os.pipe()
    from_browser, to_us = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCH, str(to_browser), str(to_us)),
        *(program, *OPTIONS, f"--user-data-dir={directory}/profile"),
        pass_fds=(to_browser, to_us),
        env={**os.environ, "TMPDIR": directory},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(to_us)
    reader = asyncio.StreamReader(limit=2**26)
    pipe = os.fdopen(from_browser, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    browser = Browser(reader, from_us)
    listening = asyncio.create_task(browser.listen())
    try:
        yield browser
    finally:
        # Asked and not killed: its helpers end with it then, and leave nothing behind.
        with suppress(AssertionError, TimeoutError, OSError):
            await browser.call("Browser.close")
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()
        listening.cancel()
        transport.close()
        os.close(from_us)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium; the test is skipped, or fails where it is required, when there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        missing("chromium", "not installed")
    # Not pytest's directory: the browser makes a socket in it, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="guildhall-", ignore_cleanup_errors=True) as directory:
        async with browsing(program, directory) as one:
            yield one
