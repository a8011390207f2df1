"""The HTTP side of every process: one application, one renderer of errors, pages, streams.

`build_app` is in `kit.http.app` and imported from there: it stands above the runtime, routes stand below it.
"""

from kit.http.dependencies import database_of, runtime_of
from kit.http.etags import check_if_match, etag, unless_had
from kit.http.instants import Instant
from kit.http.paging import Page, PageOf, Paging, behind, decode_cursor, encode_cursor
from kit.http.problems import Problem, problem_response, problems
from kit.http.sse import sse

__all__ = [
    "Instant",
    "Page",
    "PageOf",
    "Paging",
    "Problem",
    "behind",
    "check_if_match",
    "database_of",
    "decode_cursor",
    "encode_cursor",
    "etag",
    "problem_response",
    "problems",
    "runtime_of",
    "sse",
    "unless_had",
]
