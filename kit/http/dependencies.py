"""What routes ask for: the runtime and the database of their own service."""

from collections.abc import Callable

from starlette.requests import Request

from kit.database import Database
from kit.service import ServiceRuntime


def runtime_of(name: str) -> Callable[[Request], ServiceRuntime]:
    """A dependency: the running service of that name."""

    def dependency(request: Request) -> ServiceRuntime:
        one: ServiceRuntime = request.app.state.runtime.services[name]
        return one

    return dependency


def database_of(name: str) -> Callable[[Request], Database]:
    """A dependency: that service's database."""

    def dependency(request: Request) -> Database:
        db: Database = request.app.state.runtime.services[name].db
        return db

    return dependency
