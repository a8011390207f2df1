"""The members that a board is narrowed to by name. Who is friends with whom is known to frontends, and nowhere here."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, TypeAdapter, ValidationError

AMONG_MOST = 200
_IDS = TypeAdapter(frozenset[UUID])


def _named(text: str) -> frozenset[UUID]:
    """The ids in a list with commas; ValueError, which says what to send instead, for any other text."""
    wanted = f"give 1 to {AMONG_MOST} ids of members, separated by commas"
    try:
        ids = _IDS.validate_python(text.split(","))
    except ValidationError as error:
        where = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0]
        raise ValueError(f"{wanted}; number {int(where) + 1} is none") from error
    if len(ids) > AMONG_MOST:
        raise ValueError(f"{wanted}; these are {len(ids)}")
    return ids


def _checked(text: str) -> str:
    _named(text)
    return text


# One text and no list: a list of values has no plan (kit/http/planned.py), and parsing the text twice costs less.
Among = Annotated[
    str | None,
    Query(
        description=f"Only these members, such as somebody's friends: 1 to {AMONG_MOST} ids, separated by commas. The "
        "token's member counts among them without being named, and so does who is asked for as `member`."
    ),
    AfterValidator(_checked),
]


def members_among(among: str | None, *asking: UUID | None) -> frozenset[UUID] | None:
    """Those who are named, and whoever asks; None where nobody is named and everybody counts."""
    if among is None:
        return None
    return _named(among).union(one for one in asking if one is not None)
