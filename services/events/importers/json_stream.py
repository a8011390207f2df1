"""One JSON document of any size, read element by element: no more than one element is held."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import ijson
from ijson.common import ObjectBuilder

from services.events.importers.lines import DAMAGED, Broken, unpacked

_BEGINNING = 16_384
_CONTAINERS = ("start_map", "start_array")
_ENDS = ("end_map", "end_array")


class Element:
    """An element of one of the lists, and what its enclosing object said before the list (dotted path → scalar)."""

    __slots__ = ("head", "value")

    def __init__(self, head: Mapping[str, Any], value: Any) -> None:
        self.head = head
        self.value = value


def beginning(path: Path) -> str:
    """The first characters of a file, unpacked; "" for a folder. Of what is damaged, those before it."""
    if not path.is_file():
        return ""
    read = b""
    try:
        with unpacked(path) as file:
            while len(read) < _BEGINNING and (more := file.read(1024)):
                read += more
    except DAMAGED:
        pass
    return read.decode(errors="replace").lstrip("\ufeff \t\r\n")


def json_files(path: Path) -> list[Path]:
    """The file itself, or a folder's JSON files at any depth by name."""
    return sorted(one for one in path.rglob("*.json") if one.is_file()) if path.is_dir() else [path]


def begins(path: Path, *patterns: str) -> bool:
    """Whether the first pattern is seen where the file begins, and the others somewhere at its beginning."""
    text = beginning(path)
    return re.match(patterns[0], text) is not None and all(re.search(one, text) for one in patterns[1:])


def elements(path: Path, lists: Mapping[str, str], said: Collection[str]) -> Iterator[tuple[str, Element | Broken]]:
    """(where, element) of each list in order. `lists` is list → the object it stands in, both as dotted paths with
    `item` for a list's elements; `said` the scalars to remember of those objects. Where the document is no JSON any
    more, `Broken` is the last."""
    where, counts = "the beginning", dict.fromkeys([*lists, *lists.values()], 0)
    try:
        with unpacked(path) as file:
            for name, element in _elements(ijson.parse(file, use_float=True), lists, said, counts):
                where = _where(name, lists[name], counts)
                yield where, element
    except (ijson.JSONError, ValueError, OverflowError, *DAMAGED) as error:
        # Behind the first line the parser shows what stands there, which somebody wrote.
        reason = re.split(r"\\n|\n", str(error))[0].removeprefix("b'")[:100]
        yield f"after {where}", Broken(f"not JSON from here on: {reason}")


def _elements(
    events: Any, lists: Mapping[str, str], said: Collection[str], counts: dict[str, int]
) -> Iterator[tuple[str, Element]]:
    elements_of = {f"{name}.item": name for name in lists}
    head: dict[str, Any] = {}
    builder, name = None, ""
    for place, event, value in events:
        if builder is not None:
            builder.event(event, value)
            if event in _ENDS and elements_of.get(place) == name:
                yield name, Element(head, builder.value)
                builder = None
        elif place in elements_of:
            name = elements_of[place]
            counts[name] += 1
            if event in _CONTAINERS:
                builder = ObjectBuilder()
                builder.event(event, value)
            else:
                yield name, Element(head, value)
        elif event == "start_map" and place in counts:
            head = {}
            counts[place] += 1
            counts.update(dict.fromkeys((one for one, outer in lists.items() if outer == place), 0))
        elif place in said and event not in (*_CONTAINERS, *_ENDS):
            head[place] = value


def _where(name: str, outer: str, counts: Mapping[str, int]) -> str:
    """Such as `chats.list[2].messages[17]`, counted from 0 as in JSON."""
    index = counts[name] - 1
    if not outer.endswith(".item"):
        return f"{name}[{index}]"
    return f"{outer.removesuffix('.item')}[{counts[outer] - 1}]{name.removeprefix(outer)}[{index}]"
