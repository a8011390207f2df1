"""The operators' page, as a browser sees it: strict, without errors, signed in by the link, live."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx2

from tests.support.browser import Browser, Page
from tests.support.http import client_of
from tests.support.platform import App

ASSETS = {"/": "text/html", "/console/home.js": "text/javascript", "/console/home.css": "text/css"}
EXPECTED = (r"the server responded with a status of 401", r"the server responded with a status of 503 .*/readyz$")
"""What the browser itself notes of answers that the page expects: nobody is signed in, or was a moment ago; a machine
too busy to answer its own checks in time says so, and the page shows it."""


def checkin(actor: str, id: str = "1") -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/console-test",
        "type": "checkin.submitted",
        "data": {"actor": actor, "group": "demo:hall"},
    }


async def post(app: App, event: dict[str, Any], client: httpx2.AsyncClient | None = None) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    reply = await (client or app.client).post("/v1/events", json=event, headers=headers)
    assert reply.status_code == 200, reply.text


async def signed_in(app: App, page: Page) -> None:
    """By the one-time link, as a person does it; then on the page with the live list connected."""
    await page.go(app.sign_in_url)
    await page.until("document.querySelector('form button')")
    await page.click("form button")
    await page.until("location.pathname === '/' && document.getElementById('state')?.innerText === 'connected'")


def complaints(page: Page) -> list[str]:
    return [error for error in page.errors if not any(re.search(known, error) for known in EXPECTED)]


class Inline(HTMLParser):
    """Collects what a strict policy would not run: scripts and styles inside the page, handlers in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if (tag == "script" and "src" not in names) or tag == "style":
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]


async def test_the_page_and_its_parts_come_with_a_policy_that_runs_nothing_but_our_own_files(app: App) -> None:
    async with client_of(app.url) as anybody:
        for path, kind in ASSETS.items():
            reply = await anybody.get(path)
            assert reply.status_code == 200
            assert reply.headers["content-type"].startswith(kind)
            assert reply.headers["x-content-type-options"] == "nosniff"
            policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
            assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
            assert (policy["connect-src"], policy["frame-ancestors"]) == ("'self'", "'none'")
            assert "unsafe" not in reply.headers["content-security-policy"]
        inline = Inline()
        inline.feed((await anybody.get("/")).text)
        assert inline.found == []


async def test_who_is_not_signed_in_is_told_how_and_sees_the_health(app: App, browser: Browser) -> None:
    page = await browser.page()
    await page.go(app.url)
    await page.until("!document.getElementById('welcome')?.hidden && document.querySelectorAll('#health li').length")
    assert "guildhall sign-in-link" in await page.text("#welcome")
    assert await page.ask("document.getElementById('room').hidden")
    assert await page.ask("document.querySelectorAll('#health li.bad').length") == 0
    assert complaints(page) == []


async def test_an_event_posted_by_a_bot_shows_live_and_on_the_board(app: App, browser: Browser) -> None:
    page = await browser.page()
    await signed_in(app, page)
    await page.until("document.getElementById('board-note').innerText.startsWith('Nobody yet')")
    await post(app, checkin("demo:alice"))
    await page.until("document.querySelectorAll('#live li').length >= 2 && document.querySelector('#board tr')")
    live = await page.text("#live")
    assert "checkin.submitted demo:alice" in live
    assert "+10 points, +10 xp" in live
    assert (await page.text("#board")).split() == ["1", "alice", "10"]
    for kind in ("day", "month", "all"):
        await page.click(f'[data-kind="{kind}"]')
        await page.until(f"document.querySelector('[data-kind={kind}]').ariaPressed === 'true'")
        await page.until("document.querySelector('#board td.n')?.innerText === '10'")
    assert complaints(page) == []


async def test_names_are_shown_as_text_whatever_they_are_made_of(app: App, browser: Browser) -> None:
    page = await browser.page()
    await signed_in(app, page)
    name = "<img src=x onerror=alert(1)><b>x</b>"
    await post(app, checkin(f"demo:{name}"))
    await page.until("document.querySelector('#board tr') && document.querySelectorAll('#live li').length >= 2")
    assert name in await page.text("#board")
    assert name in await page.text("#live")
    assert await page.ask("document.querySelectorAll('main img, #board b').length") == 0
    assert complaints(page) == []


async def test_an_operator_of_two_communities_chooses_between_them(app: App, browser: Browser) -> None:
    page = await browser.page()
    await signed_in(app, page)
    await post(app, checkin("demo:alice"))
    await page.until("document.querySelector('#board tr')")
    found = await page.ask(
        "fetch('/v1/communities', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify({name: 'Second Hall'})}).then(r => r.json())"
    )
    await app.settle()
    await page.go(app.url)
    await page.until("document.querySelectorAll('#community option').length === 2")
    assert not await page.ask("document.getElementById('which').hidden")
    await page.until("document.querySelector('#board tr')")
    choose = "const s = document.getElementById('community'); s.value = '{}'; s.dispatchEvent(new Event('change'))"
    await page.ask(choose.format(found["id"]))
    await page.until("document.getElementById('board-note').innerText.startsWith('Nobody yet')")
    assert await page.text("#board") == ""
    await page.ask("{" + choose.format(app.community) + "}")
    await page.until("document.querySelector('#board tr')?.innerText.includes('alice')")
    assert complaints(page) == []


async def test_signing_out_ends_the_session_and_the_link_is_used_up(app: App, browser: Browser) -> None:
    page = await browser.page()
    await signed_in(app, page)
    await page.click("#out")
    await page.until("document.getElementById('welcome')?.hidden === false")
    other = await browser.page()
    await other.go(app.sign_in_url)
    await other.until("document.body.innerText.includes('used or has expired')")
    assert not await other.ask("!!document.querySelector('form')")
