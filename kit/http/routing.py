"""Routes found by the first two segments of their path, which say whose they are (`/v1/boards`).

The framework asks its routes one after the other, each with a regular expression, and those of an included router
twice: with the hundred routes of the platform that cost more than everything else about a small request.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from kit.http.planned import Plan, plan_of

_CHOSEN = "guildhall.chosen_route"

Segments = tuple[str, ...]


class BySegments(BaseRoute):
    """Routes as one: matches like they would in their order. ValueError for one whose first segments are not fixed."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self.routes = list(routes)
        self._by_segments: dict[Segments, list[BaseRoute]] = {}
        self._planned: dict[Segments, list[tuple[Route, Plan | None]]] = {}
        for route in self.routes:
            path = str(getattr(route, "path", ""))
            segments = _segments(path)
            if any("{" in segment for segment in segments):
                raise ValueError(f"{path}: its first two segments must be fixed")
            self._by_segments.setdefault(segments, []).append(route)
            if isinstance(route, Route):
                self._planned.setdefault(segments, []).append((route, plan_of(route)))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        partial: tuple[Match, Scope] | None = None
        for route in self._by_segments.get(_segments(_path(scope)), ()):
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                return match, {**child_scope, _CHOSEN: route}
            if match is Match.PARTIAL and partial is None:
                partial = match, {**child_scope, _CHOSEN: route}
        return partial or (Match.NONE, {})

    async def planned(self, request: Request) -> Response | None:
        """The answer of the route that matches, where it has a plan; None where the framework is to give it."""
        scope = request.scope
        path, method = scope["path"], scope["method"]
        for route, plan in () if scope.get("root_path") else self._planned.get(_segments(path), ()):
            match = route.path_regex.match(path)
            if match is None or method not in (route.methods or ()):
                continue
            if plan is None:
                return None
            values = {name: route.param_convertors[name].convert(text) for name, text in match.groupdict().items()}
            scope.update(route=route, endpoint=route.endpoint, path_params=values)
            return await plan.answer(request, values)
        return None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope[_CHOSEN].handle(scope, receive, send)


class Direct(APIRoute):
    """A route whose endpoint takes the request and nothing else, on a fixed path: the edge calls it at once.

    For the few routes where the framework's own steps (finding the route, solving dependencies, exit stacks) cost as
    much as the work. It is described, tested and wired like any other, and works without the edge as well.
    """


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root else path


def _segments(path: str) -> Segments:
    return tuple(path.split("/", 3)[1:3])


def every_route(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes themselves: those of an included router or of `BySegments` stand behind one entry."""
    for route in routes:
        included = getattr(route, "original_router", route if isinstance(route, BySegments) else None)
        if included is None:
            yield route
        else:
            yield from every_route(included.routes)
