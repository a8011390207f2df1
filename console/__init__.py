"""The operators' page: what is behind the printed address. It knows nothing the public API does not say."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def _asset(name: str) -> bytes:
    return (files("console") / "static" / name).read_bytes()


@router.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(_asset("home.html"), headers=HEADERS)


@router.get("/console/home.js")
async def script() -> Response:
    return Response(_asset("home.js"), media_type="text/javascript", headers=HEADERS)


@router.get("/console/home.css")
async def style() -> Response:
    return Response(_asset("home.css"), media_type="text/css", headers=HEADERS)
