"""How a platform is asked whether a connection is set up rightly: what to call, and what the answers mean (E5).

Pure, as all of a receiver: calls and answers are values, and whoever has a network makes them.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from kit.outside import Answer, Call

OK, WARNING, ERROR = LEVELS = ("ok", "warning", "error")
K = TypeVar("K", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok; warning, something may be missing, or could not be looked at; error, nothing comes, or is taken.
    `code` is for programs, `message` says what was found, `advice` what to do ("" when nothing is). None of them has a
    credential in it."""

    level: str
    code: str
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Question(Generic[K]):
    """`url` is where the platform is to post, `base_url` where its API is (without a slash at its end), `groups` those
    to ask about, as the platform names them; `seen_at` is when something came last."""

    credentials: K
    base_url: str
    url: str
    groups: tuple[str, ...]
    seen_at: datetime | None
    now: datetime


Conversation = Generator[Sequence[Call], Sequence[Answer | None], Sequence[Finding]]
"""Yields calls that may be made at once; is sent what was answered to each, None where no answer came; returns what
was found. Raises nothing, whatever is answered."""


@dataclass(frozen=True, slots=True)
class Check(Generic[K]):
    """`credentials` are given for one check and kept by nobody. `ask` makes only calls that read. `of_groups`: it asks
    about groups."""

    credentials: type[K]
    base_url: str
    ask: Callable[[Question[K]], Conversation]
    of_groups: bool = False


def no_answer(title: str, about: str = "") -> Finding:
    message = f"{title} did not answer in time, or could not be reached{about}"
    return Finding(WARNING, "no_answer", message, "Check again in a while; if base_url was given, is it right?")


def busy(title: str, seconds: int | None) -> Finding:
    wait = f"{seconds} s" if seconds is not None else "a while"
    return Finding(WARNING, "platform_busy", f"{title} was asked too much by this bot", f"Check again in {wait}.")


def unclear(title: str, status: int, said: str = "") -> Finding:
    what = f": {said}" if said else ""
    message = f"{title} answered {status}{what}, which says nothing of the connection"
    return Finding(WARNING, "answer_unclear", message, "If base_url was given, is it right? Otherwise check again.")
