"""Reads whose way through the framework is worked out once, when the application is made, and not at every request.

The framework looks at every parameter's type anew each time it is given one, opens three stacks for clean-ups that no
route of ours has, and validates what the route itself made: of a small read that was more than the read. A `Plan` calls
the same dependencies in the same order with the same validators, and answers the same. What it does not understand of a
route has no plan, and what does not fit is left to the framework, which alone says what is wrong.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import AwareDatetime, Json
from starlette.requests import Request
from starlette.responses import Response

_PLAIN = (str, int, float, bool, UUID, date, AwareDatetime, Decimal, Enum, NoneType)
_REQUIRED = object()


class NoPlan(Exception):
    """Something about a route that only the framework does."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One value of the path or of the query. `check` is the framework's: the value, and what is wrong with it."""

    name: str
    alias: str
    check: Callable[[str], tuple[Any, Sequence[Any]]]
    default: Any


@dataclass(frozen=True, slots=True)
class _Step:
    """A dependency, or the endpoint itself; `needs` are its parameters that are what an earlier step gave."""

    call: Callable[..., Awaitable[Any]]
    path: tuple[_Parameter, ...]
    query: tuple[_Parameter, ...]
    needs: tuple[tuple[str, int], ...]
    request: str | None
    response: str | None


class Plan:
    """How a route is answered. NoPlan for one with a body, headers, cookies, clean-ups, threads or lists of values."""

    def __init__(self, route: APIRoute) -> None:
        _check_route(route)
        self.route = route
        self._steps: list[_Step] = []
        self._add(route.dependant, {})
        self._writes = any(step.response is not None for step in self._steps)

    def _add(self, node: Dependant, there: dict[Any, int]) -> int:
        """Append what a call needs and then the call itself; its number."""
        needs = []
        for child in node.dependencies:
            known = there.get(child.call) if child.use_cache else None
            number = self._add(child, there) if known is None else known
            there.setdefault(child.call, number)
            if child.name is not None:
                needs.append((child.name, number))
        self._steps.append(_step(node, tuple(needs)))
        return len(self._steps) - 1

    async def answer(self, request: Request, path: Mapping[str, Any]) -> Response | None:
        """What the route answers, or raises; None, with nothing done yet, when a value does not fit."""
        arguments = self._arguments(request.scope["query_string"], path)
        if arguments is None:
            return None
        told = _told() if self._writes else None
        results: list[Any] = []
        for step, values in zip(self._steps, arguments, strict=True):
            for name, number in step.needs:
                values[name] = results[number]
            if step.request is not None:
                values[step.request] = request
            if step.response is not None:
                values[step.response] = told
            results.append(await step.call(**values))
        made = results[-1]
        return made if isinstance(made, Response) else self._encoded(made, told)

    def _arguments(self, query_string: bytes, path: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        # Of a name given twice the last one counts.
        query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)) if query_string else {}
        out = []
        for step in self._steps:
            values: dict[str, Any] = {}
            for given, parameters in ((path, step.path), (query, step.query)):
                for one in parameters:
                    raw = given.get(one.alias)
                    if raw is not None:
                        values[one.name], wrong = one.check(raw)
                        if wrong:
                            return None
                    elif one.default is _REQUIRED:
                        return None
                    else:
                        values[one.name] = one.default
            out.append(values)
        return out

    def _encoded(self, made: Any, told: Response | None) -> Response:
        field = self.route.response_field
        assert field is not None
        value, wrong = field.validate(made, {}, loc=("response",))
        if wrong:
            raise TypeError(f"{self.route.path} answers what it does not promise: {wrong[:3]}")
        status = (told.status_code if told is not None else None) or self.route.status_code or 200
        body = field.serialize_json(value) if is_body_allowed_for_status_code(status) else b""
        out = Response(body, status, media_type="application/json")
        if told is not None:
            out.headers.raw.extend(told.headers.raw)
        return out


def plan_of(route: Any) -> Plan | None:
    """The plan of a route, or None where the framework answers as ever."""
    if not isinstance(route, APIRoute) or route.methods != {"GET"}:
        return None
    try:
        return Plan(route)
    except NoPlan:
        return None


def _told() -> Response:
    """What an endpoint that asks for the response may set headers and a status of."""
    out = Response()
    del out.headers["content-length"]
    out.status_code = None  # type: ignore[assignment]  # as the framework has it: whoever sets none means the route's
    return out


def _check_route(route: APIRoute) -> None:
    if route.body_field is not None or route.is_sse_stream or route.is_json_stream:
        raise NoPlan("it reads a body or gives a stream")
    if route.dependency_overrides_provider is not None or route.max_body_size is not None:
        raise NoPlan("somebody else has a say in it")
    shown = route.response_model_include, route.response_model_exclude, not route.response_model_by_alias
    left_out = (
        route.response_model_exclude_unset,
        route.response_model_exclude_defaults,
        route.response_model_exclude_none,
    )
    if any((*shown, *left_out)):
        raise NoPlan("its model is not written whole")
    gives = get_type_hints(route.endpoint).get("return")
    if not (isinstance(gives, type) and issubclass(gives, Response)) and (
        route.response_field is None or not isinstance(route.response_class, DefaultPlaceholder)
    ):
        raise NoPlan("its answer is written in a way of its own")


def _step(node: Dependant, needs: tuple[tuple[str, int], ...]) -> _Step:
    others = (
        node.header_params,
        node.cookie_params,
        node.body_params,
        node.websocket_param_name,
        node.http_connection_param_name,
        node.background_tasks_param_name,
        node.security_scopes_param_name,
        node.own_oauth_scopes,
        node.parent_oauth_scopes,
        node.concurrency,
    )
    if any(others) or not inspect.iscoroutinefunction(node.call):
        raise NoPlan("it asks for more than path and query, or runs in a thread")
    path, query = (tuple(map(_parameter, fields)) for fields in (node.path_params, node.query_params))
    return _Step(node.call, path, query, needs, node.request_param_name, node.response_param_name)


def _parameter(field: Any) -> _Parameter:
    told = field.field_info
    alias = told.validation_alias or field.alias
    if not isinstance(alias, str) or field.config or any(type(item) is Json for item in told.metadata):
        raise NoPlan("a parameter has several names, or is JSON")
    if not _is_plain(told.annotation) or told.default_factory is not None or told.validate_default:
        raise NoPlan("a parameter is no plain value, or its default is made anew")
    default = _REQUIRED if told.is_required() else told.default
    if default is not _REQUIRED and not isinstance(default, _PLAIN):
        raise NoPlan("a default that would have to be copied")
    return _Parameter(field.name, alias, field.validate, default)


def _is_plain(annotation: Any) -> bool:
    """Whether one text makes one value of it."""
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin is Annotated:
        return _is_plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return all(map(_is_plain, get_args(annotation)))
    return isinstance(annotation, type) and issubclass(annotation, _PLAIN)
