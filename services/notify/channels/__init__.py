"""Ways to a person, one file each. Whichever module here has a `CHANNEL` is one that calls the outside (N2)."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from services.notify.channels.form import Channel


@cache
def channels() -> dict[str, Channel[Any, Any]]:
    """By their kind, in its order."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    found = [module.CHANNEL for module in modules if hasattr(module, "CHANNEL")]
    return {one.kind: one for one in sorted(found, key=lambda one: one.kind)}
