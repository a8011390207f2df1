"""What routes ask for: the runtime and the database of their own service.

Dependencies are coroutines though they wait for nothing: a plain function would go through a thread at every request.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from kit.database import Database
from kit.service import ServiceRuntime


def runtime_of(name: str) -> Callable[[Request], Awaitable[ServiceRuntime]]:
    """A dependency: the running service of that name."""

    async def dependency(request: Request) -> ServiceRuntime:
        one: ServiceRuntime = request.app.state.runtime.services[name]
        return one

    return dependency


def database_of(name: str) -> Callable[[Request], Awaitable[Database]]:
    """A dependency: that service's database."""

    async def dependency(request: Request) -> Database:
        db: Database = request.app.state.runtime.services[name].db
        return db

    return dependency
