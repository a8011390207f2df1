"""Structured log lines: JSON for machines, readable in a terminal; with request id, service, event id (K53).

Message text, tokens and secrets are never passed to a logger; as a second line of defence values that look like a
credential are masked.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(r"gh_(live|test)_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def _mask(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    return {k: _masked(v) for k, v in line.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET.sub("[secret]", value)
    if isinstance(value, dict):
        return {_masked(k): _masked(v) for k, v in value.items()}
    return [_masked(v) for v in value] if isinstance(value, (list, tuple)) else value


def configure(level: str, form: str) -> None:
    """Log lines of at least `level` to standard error; `form` is json, console or auto (console in a terminal)."""
    readable = form == "console" or (form == "auto" and sys.stderr.isatty())
    last: Any = structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )


def request_id() -> str | None:
    """The id of the request that this context works for; None where it is none's."""
    value = structlog.contextvars.get_contextvars().get("request_id")
    return value if isinstance(value, str) else None


def name_request(id: str | None) -> None:
    """From now on this context works for that request, or for none in particular."""
    structlog.contextvars.unbind_contextvars("request_id")
    if id is not None:
        structlog.contextvars.bind_contextvars(request_id=id)


def silence() -> None:
    """No log lines at all, for commands whose output is the whole answer."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[_dropped])
    logging.disable(logging.CRITICAL)


def _dropped(_logger: Any, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent
