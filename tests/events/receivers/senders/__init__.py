"""The platforms as they send, one module each: whichever module here has a `SENDER` is one."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tests.events.receivers.sending import Sender


@cache
def senders() -> dict[str, Sender]:
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    return {module.SENDER.platform: module.SENDER for module in modules if hasattr(module, "SENDER")}
