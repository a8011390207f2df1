"""Template texts: Jinja in a sandbox that cannot run away, the only file that knows which engine it is.

Guaranteed: a text sees its variables and nothing else; it loops only over lists among them and not in a loop; no
attribute that begins with an underscore, no method, no repetition of strings; what it names must be declared.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notify.shipped import activity_word, unit_word

MAX_OUTPUT = 4000
_ALLOWED_FILTERS = ("capitalize", "default", "first", "join", "last", "length", "lower", "trim", "upper")
_FORBIDDEN = (nodes.Call, nodes.Macro, nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block,
              nodes.CallBlock, nodes.FilterBlock, nodes.Pow, nodes.Mul, nodes.Mod, nodes.AssignBlock)  # fmt: skip


class Unfit(Exception):
    """The text cannot be used; the message says what is wrong and where."""


class _Environment(ImmutableSandboxedEnvironment):
    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False)
        self.globals.clear()
        self.tests = {name: self.tests[name] for name in ("defined", "none", "number", "string")}
        own = {"unit": _word(unit_word), "activity": _word(activity_word)}
        self.filters = {**{name: self.filters[name] for name in _ALLOWED_FILTERS}, **own}


def _word(find: Any) -> Any:
    @jinja2.pass_context
    def of(context: jinja2.runtime.Context, value: Any) -> str:
        return str(find(str(value), str(context.get("locale", "en"))))

    return of


_environment = _Environment()


def check(source: str, declared: set[str]) -> None:
    """Unfit unless `source` is a template within the rules that names only `declared` variables (and `locale`)."""
    try:
        tree = _environment.parse(source)
        _environment.compile(source)
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        raise Unfit(f"line {line}: {error.message}" if line else str(error.message)) from error
    for kind in _FORBIDDEN:
        found = tree.find(kind)
        if found is not None:
            raise Unfit(f"line {found.lineno}: {kind.__name__.lower()} is not available in templates")
    for loop in tree.find_all(nodes.For):
        if loop.iter.find(nodes.Filter) is not None or any(inner is not loop for inner in loop.find_all(nodes.For)):
            raise Unfit(f"line {loop.lineno}: a loop goes over one of the variables, and not inside another loop")
    unknown = sorted(meta.find_undeclared_variables(tree) - declared - {"locale"})
    if unknown:
        raise Unfit(f"{unknown[0]} is not among the declared variables ({', '.join(sorted(declared)) or 'none'})")


@lru_cache(maxsize=1024)
def _compiled(source: str) -> jinja2.Template:
    return _environment.from_string(source)


def render(source: str, variables: Mapping[str, Any], locale: str) -> str:
    """The text, cut at `MAX_OUTPUT` characters. Unfit when these variables do not suit it."""
    try:
        text = _compiled(source).render({**variables, "locale": locale})
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise Unfit(f"the text could not be made: {error}") from error
    return text if len(text) <= MAX_OUTPUT else text[: MAX_OUTPUT - 1] + "…"
