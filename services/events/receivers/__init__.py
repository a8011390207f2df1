"""The platforms we hear of, one module each (E5). Whichever module here has a `RECEIVER` is one."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from services.events.receivers.form import Receiver


@cache
def receivers() -> dict[str, Receiver[Any, Any]]:
    """By the platform's name, in its order."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    found = [module.RECEIVER for module in modules if hasattr(module, "RECEIVER")]
    return {one.platform: one for one in sorted(found, key=lambda one: one.platform)}
