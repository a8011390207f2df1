"""`/v1/sessions`: operators sign in with a one-time link (K22)."""

from html import escape
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kit.auth import COOKIE, ROLES, check_same_origin, hash_secret
from kit.errors import Forbidden, GuildhallError
from kit.http import problems
from services.members.api.common import Db, KeyMaker, One, Reader
from services.members.bootstrap import OPERATOR
from services.members.handlers import places
from services.members.store import places as store

router = APIRouter(tags=["sessions"])

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Guildhall: sign in</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui;margin:15vh auto;max-width:24rem;padding:1rem}}
button{{font:inherit;padding:.6rem 1.4rem;border-radius:.4rem;cursor:pointer}}</style>
<h1>Guildhall</h1>{content}</html>"""

BUTTON = """<p>This link signs you in once, on this device.</p><p lang="zh-CN">此链接仅可使用一次。</p>
<form method="post" action="/v1/sessions/sign-in"><input type="hidden" name="token" value="{token}">
<button>Sign in · 登录</button></form>"""

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
            }
        },
    },
    "responses": {"401": {"description": "The link is used or over"}, "403": {"description": "From another site"}},
}

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"


class LinkOut(BaseModel):
    """Good for 15 minutes, once."""

    url: str
    expires_in: int


class SessionOut(BaseModel):
    operator: str
    scopes: list[str]
    community_id: str


def _page(content: str, status: int = 200) -> HTMLResponse:
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return HTMLResponse(PAGE.format(content=content), status, headers=headers)


@router.post("/v1/sessions/links", summary="A one-time sign-in link", responses=problems(404))
async def make_link(request: Request, one: One, caller: KeyMaker) -> LinkOut:
    """For the owner; whoever holds the link signs in as them."""
    if not caller.scopes >= ROLES["owner"]:
        raise Forbidden("a sign-in link gives every right: ask with a credential that has them", code="scope_missing")
    async with one.db.begin() as tx:
        token = await places.make_sign_in_link(tx, operator=OPERATOR)
    base = one.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    url = f"{base}/v1/sessions/sign-in?token={token}"
    return LinkOut(url=url, expires_in=int(places.LINK_LIFETIME.total_seconds()))


@router.get("/v1/sessions/sign-in", summary="The page behind a sign-in link", response_class=HTMLResponse)
async def sign_in_page(db: Db, token: Annotated[str, Query(max_length=200)]) -> HTMLResponse:
    """Looking does not use the link up: previews in chats look at links too."""
    async with db.read() as tx:
        good = await store.link_is_good(tx, digest=hash_secret(token))
    if not good:
        return _page("<p>This link was used or has expired.</p><p>Run <code>guildhall sign-in-link</code>.</p>", 410)
    return _page(BUTTON.format(token=escape(token, quote=True)))


@router.post("/v1/sessions/sign-in", summary="Use a sign-in link", status_code=303, openapi_extra=FORM)
async def sign_in(request: Request, one: One) -> Response:
    """Sets the session cookie and goes to `/`."""
    check_same_origin(request)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = form.get("token", [""])[0]
    try:
        async with one.db.begin() as tx:
            secret = await places.sign_in(tx, token=token)
    except GuildhallError as error:
        return _page(f"<p>{escape(error.message)}</p>", error.status)
    reply = RedirectResponse("/", 303)
    secure = one.settings.public_url.startswith("https:") or request.url.scheme == "https"
    age = int(places.SESSION_LIFETIME.total_seconds())
    reply.set_cookie(COOKIE, secret, max_age=age, httponly=True, samesite="lax", secure=secure, path="/")
    return reply


@router.get("/v1/sessions/current", summary="Who is signed in", responses=problems(400, 404))
async def current(caller: Reader) -> SessionOut:
    return SessionOut(operator=caller.id, scopes=sorted(caller.scopes), community_id=str(caller.community_id))


@router.delete("/v1/sessions/current", summary="Sign out", status_code=204, responses=problems())
async def sign_out(request: Request, db: Db) -> Response:
    check_same_origin(request)
    secret = request.cookies.get(COOKIE)
    if secret:
        async with db.begin() as tx:
            await places.sign_out(tx, secret=secret)
    reply = Response(status_code=204)
    reply.delete_cookie(COOKIE, path="/")
    return reply
