"""`/v1/sessions`: operators sign in with a one-time link (K22)."""

from datetime import datetime
from html import escape
from typing import Annotated
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kit.auth import COOKIE, ROLES, check_same_origin
from kit.database import Tx
from kit.errors import Forbidden, Unauthorized
from kit.http import problems
from kit.http.secret_replies import once_with_secret
from kit.idempotency import Reply
from services.members.api.common import SOME_ID, SOME_TIME, Db, KeyMaker, One, shown
from services.members.bootstrap import OPERATOR
from services.members.handlers import sessions as handlers

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
    "responses": {
        "303": {"description": "Signed in; the cookie is set"},
        "401": {"description": "The link was used or is over", "content": {"text/html": {}}},
    },
}

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"


class LinkOut(BaseModel):
    """Good for `expires_in` seconds, once."""

    url: str
    expires_in: int


class SessionOut(BaseModel):
    """`communities` empty means all of them."""

    operator: str
    role: str
    scopes: list[str]
    communities: list[UUID]
    expires_at: datetime


def _page(content: str, status: int = 200) -> HTMLResponse:
    # `same-origin`: with `no-referrer` browsers send `Origin: null`, and the form would look like another site's.
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
    return HTMLResponse(PAGE.format(content=content), status, headers=headers)


@router.post(
    "/v1/sessions/links",
    summary="A one-time sign-in link",
    response_model=LinkOut,
    responses={**problems(400, 404, 409, 422), **shown(200, {"url": "https://…/sign-in?token=…", "expires_in": 900})},
)
async def make_link(request: Request, one: One, caller: KeyMaker) -> Response:
    """For the owner, in the caller's community only: whoever holds the link signs in with every right there."""
    if not caller.scopes >= ROLES["owner"]:
        raise Forbidden("a sign-in link gives every right: ask with a credential that has them", code="scope_missing")
    base = one.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")

    async def effect(tx: Tx) -> Reply:
        token = await handlers.create_sign_in_link(
            tx, operator=OPERATOR, communities=[caller.community_id], created_by=caller.actor
        )
        lifetime = int(handlers.LINK_LIFETIME.total_seconds())
        return Reply(200, LinkOut(url=f"{base}/v1/sessions/sign-in?token={token}", expires_in=lifetime))

    return await once_with_secret(request, one, caller, effect, "url")


@router.get(
    "/v1/sessions/sign-in",
    summary="The page behind a sign-in link",
    response_class=HTMLResponse,
    responses={
        **problems(400, 422),
        410: {"description": "The link was used or is over", "content": {"text/html": {}}},
    },
)
async def sign_in_page(db: Db, token: Annotated[str, Query(max_length=200)]) -> HTMLResponse:
    """Looking does not use the link up: previews in chats look at links too."""
    async with db.read() as tx:
        good = await handlers.link_is_good(tx, token=token)
    if not good:
        return _page("<p>This link was used or has expired.</p><p>Run <code>guildhall sign-in-link</code>.</p>", 410)
    return _page(BUTTON.format(token=escape(token, quote=True)))


@router.post(
    "/v1/sessions/sign-in",
    summary="Use a sign-in link",
    status_code=303,
    response_class=RedirectResponse,
    openapi_extra=FORM,
    responses=problems(400),
)
async def sign_in(request: Request, one: One) -> Response:
    """Sets the session cookie and goes to `/`. Only from this site's own page."""
    check_same_origin(request)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    try:
        async with one.db.begin() as tx:
            secret = await handlers.sign_in(tx, token=form.get("token", [""])[0])
    except Unauthorized as error:
        return _page(f"<p>{escape(error.message)}</p>", error.status)
    reply = RedirectResponse("/", 303)
    secure = one.settings.public_url.startswith("https:") or request.url.scheme == "https"
    age = int(handlers.SESSION_LIFETIME.total_seconds())
    reply.set_cookie(COOKIE, secret, max_age=age, httponly=True, samesite="lax", secure=secure, path="/")
    return reply


@router.get(
    "/v1/sessions/current",
    summary="Who is signed in",
    responses={
        **problems(),
        **shown(
            200,
            {
                "operator": "owner",
                "role": "owner",
                "scopes": ["members:read"],
                "communities": [SOME_ID],
                "expires_at": SOME_TIME,
            },
        ),
    },
)
async def current(request: Request, db: Db) -> SessionOut:
    """Of the session cookie, whatever else the request carries."""
    async with db.read() as tx:
        row = await handlers.session_of(tx, secret=request.cookies.get(COOKIE, ""))
    return SessionOut(
        operator=row.operator,
        role=row.role,
        scopes=sorted(ROLES.get(row.role, ())),
        communities=row.communities,
        expires_at=row.expires_at,
    )


@router.delete("/v1/sessions/current", summary="Sign out", status_code=204, responses=problems())
async def sign_out(request: Request, db: Db) -> Response:
    """Also for a session that has ended already."""
    check_same_origin(request)
    secret = request.cookies.get(COOKIE)
    if secret:
        async with db.begin() as tx:
            await handlers.sign_out(tx, secret=secret)
    reply = Response(status_code=204)
    reply.delete_cookie(COOKIE, path="/")
    return reply
