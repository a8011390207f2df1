"""Template texts: Jinja in a sandbox that cannot run away, the only file that knows which engine it is.

Guaranteed: a text sees its variables and nothing else. Nothing it may write multiplies (no assignment that could
double itself, no `*`, no joining of characters), loops go over short lists and not inside each other, and the work
ends where the output is long enough. What it names must be declared.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notify.shipped import activity_word, unit_word

MAX_OUTPUT = 4000
MAX_ITEMS = 100
"""So many entries of a list are looped over or joined."""
MAX_JOINED = 16_384
MAX_DEPTH = 30
MAX_BRACKETS = 15

_FILTERS = ("capitalize", "default", "first", "last", "length", "lower", "trim", "upper")
# What is not listed is not available: a list of what is forbidden would miss what the engine learns next.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Neg,
    nodes.Pos, nodes.Compare, nodes.Operand, nodes.Add, nodes.Sub, nodes.FloorDiv, nodes.Concat, nodes.List,
    nodes.Keyword,
)  # fmt: skip
_OF_LOOPS = frozenset({"first", "index", "index0", "last", "length", "revindex", "revindex0"})
_SILENT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Unfit(Exception):
    """The text cannot be used; the message says what is wrong and where."""


class _Environment(ImmutableSandboxedEnvironment):
    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False)
        self.globals.clear()
        self.tests = {name: self.tests[name] for name in ("defined", "none", "number", "string")}
        own = {"join": _join, "unit": _word(unit_word), "activity": _word(activity_word), "": _items}
        self.filters = {**{name: self.filters[name] for name in _FILTERS}, **own}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Entries of an object and what a loop knows; never a method, which would print its address."""
        if isinstance(obj, LoopContext) and attribute in _OF_LOOPS:
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        wanted = str if isinstance(obj, dict) else int
        if isinstance(obj, dict | list | str) and isinstance(argument, wanted):
            try:
                return obj[argument]  # type: ignore[index]  # its kind was just looked at
            except LookupError:
                pass
        return self.undefined(obj=obj, name=argument)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            # The empty name is one that no text can write.
            loop.iter = nodes.Filter(loop.iter, "", [], [], None, None, lineno=loop.lineno)
        return tree


def _items(value: Any) -> Any:
    if not isinstance(value, list):
        raise TypeError("a loop goes over a list")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"a loop goes over at most {MAX_ITEMS} entries")
    return value


def _join(value: Any, d: Any = "", attribute: Any = None) -> str:
    """Of lists only: joining the characters of what was joined would grow without bound."""
    parts = [str(_entry(item, attribute)) for item in _items(value)]
    if sum(map(len, parts)) + len(str(d)) * len(parts) > MAX_JOINED:
        raise ValueError(f"joining makes at most {MAX_JOINED} characters")
    return str(d).join(parts)


def _entry(item: Any, attribute: Any) -> Any:
    return item if attribute is None else item[attribute]


def _word(find: Any) -> Any:
    @jinja2.pass_context
    def of(context: jinja2.runtime.Context, value: Any) -> str:
        return str(find(str(value), str(context.get("locale", "en"))))

    return of


_environment = _Environment()


def check(source: str, declared: set[str]) -> None:
    """Unfit unless `source` is a template within the rules that names only `declared` variables (and `locale`)."""
    try:
        _check_brackets(source)
        tree = _environment.parse(source)
        for node, loops, depth in _walk(tree):
            _check_node(node, loops, depth)
        # Only now: compiling works out constant expressions, and `9 ** 9 ** 9` would be one.
        _environment.compile(source)
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        raise Unfit(f"line {line}: {error.message}" if line else str(error.message)) from error
    except (RecursionError, SyntaxError, ValueError) as error:
        raise Unfit("this is nested too deep or holds a number that is too long") from error
    unknown = sorted(meta.find_undeclared_variables(tree) - declared - {"locale"})
    if unknown:
        raise Unfit(f"{unknown[0]} is not among the declared variables ({', '.join(sorted(declared)) or 'none'})")


def _check_brackets(source: str) -> None:
    """The parser calls itself for each bracket, so it must not be asked before this."""
    depth = 0
    for line, kind, text in _environment.lex(source):
        if kind == "operator":
            depth += (text in "([{") - (text in ")]}")
        if depth > MAX_BRACKETS:
            raise Unfit(f"line {line}: more than {MAX_BRACKETS} brackets inside each other")


def _walk(tree: nodes.Template) -> Iterator[tuple[nodes.Node, int, int]]:
    """Every node with the number of loops around it and its depth; without recursion, whatever the tree is like."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, loops, depth = waiting.pop()
        yield node, loops, depth
        inner = loops + isinstance(node, nodes.For)
        waiting += [(child, inner, depth + 1) for child in node.iter_child_nodes()]


def _check_node(node: nodes.Node, loops: int, depth: int) -> None:
    at = f"line {node.lineno or 1}"
    if not isinstance(node, _ALLOWED):
        raise Unfit(f"{at}: {type(node).__name__.lower()} is not available in templates")
    if depth > MAX_DEPTH:
        raise Unfit(f"{at}: more than {MAX_DEPTH} levels inside each other")
    if isinstance(node, nodes.Name) and node.name == "self":
        raise Unfit(f"{at}: self is not available in templates")
    if not isinstance(node, nodes.Getattr) and any(
        isinstance(child, nodes.Name) and child.name == "loop" for child in node.iter_child_nodes()
    ):
        raise Unfit(f"{at}: of a loop there are loop.index, loop.first, loop.last, loop.length")
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise Unfit(f"{at}: names that begin with _ are not available in templates")
    if isinstance(node, nodes.Filter) and any(name.key != "attribute" for name in node.kwargs):
        raise Unfit(f"{at}: arguments of filters are given without their names")
    if isinstance(node, nodes.For):
        assert isinstance(node.iter, nodes.Filter)
        plain = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const)
        over = [part for part in _parts(node.iter.node) if not isinstance(part, plain)]
        if over or loops or node.recursive or not isinstance(node.target, nodes.Name):
            raise Unfit(f"{at}: a loop goes over one of the variables, and not inside another loop")


def _parts(node: nodes.Node | None) -> Sequence[nodes.Node]:
    return [] if node is None else [node, *(part for child in node.iter_child_nodes() for part in _parts(child))]


@lru_cache(maxsize=1024)
def _compiled(source: str) -> jinja2.Template:
    return _environment.from_string(source)


def render(source: str, variables: Mapping[str, Any], locale: str) -> str:
    """The text, cut at `MAX_OUTPUT` characters, without characters that nobody sees. Unfit when these variables do
    not suit it."""
    parts: list[str] = []
    length = 0
    try:
        # Piece by piece: a short text in a loop may become a very long one, which nobody would read.
        for piece in _compiled(source).generate({**variables, "locale": locale}):
            parts.append(_SILENT.sub("", piece[: MAX_OUTPUT + 1]))
            length += len(parts[-1])
            if length > MAX_OUTPUT:
                break
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise Unfit(f"the text could not be made: {error}") from error
    text = "".join(parts)
    return text if len(text) <= MAX_OUTPUT else text[: MAX_OUTPUT - 1] + "…"
