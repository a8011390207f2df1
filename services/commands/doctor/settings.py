"""The settings themselves: known, sensible, and the secret kept from others."""

import ipaddress
import stat
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from kit.settings import Settings, SettingsError
from services.commands.doctor.findings import Finding, failed, ok, warning
from services.engines import kafka_security


def unusable(error: SettingsError) -> list[Finding]:
    """What keeps every command from starting, a line each."""
    do = "correct it, or take it out of the environment; docs/settings.md lists every setting"
    return [failed("settings", line, do) for line in str(error).splitlines()]


async def sane(settings: Settings) -> list[Finding]:
    """What is allowed, one setting at a time, and still does not work or not for long."""
    out = [*_engines(settings)]
    try:
        ZoneInfo(settings.community_zone)
    except (KeyError, ValueError, OSError):
        # Unknown, no name at all, the name of a folder of zones: three kinds of error for the same mistake.
        found = f"GUILDHALL_COMMUNITY_ZONE: there is no time zone {settings.community_zone!r}"
        out.append(failed("settings", found, "name one of the IANA database, such as Europe/Berlin"))
    if settings.inbox_days < settings.log_retention_days:
        found = (
            f"GUILDHALL_INBOX_DAYS ({settings.inbox_days}) is less than GUILDHALL_LOG_RETENTION_DAYS "
            f"({settings.log_retention_days}): a record read again after that time would count twice"
        )
        out.append(warning("settings", found, "set GUILDHALL_INBOX_DAYS to at least as many days"))
    kind = "embedded" if settings.embedded else "PostgreSQL and Kafka"
    return out or [ok("settings", f"known and sensible; {kind}")]


def _engines(settings: Settings) -> list[Finding]:
    if settings.embedded:
        return []
    out = []
    try:
        driver = make_url(settings.database_url).drivername
    except ArgumentError:
        driver = "something that is no URL"
    if driver != "postgresql+asyncpg":
        found = f"GUILDHALL_DATABASE_URL begins with {driver}"
        out.append(failed("settings", found, "write it as postgresql+asyncpg://user:password@host:5432/database"))
    try:
        kafka_security(settings)
    except SettingsError as error:
        out.append(failed("settings", str(error), "name a readable PEM file with the authorities' certificates"))
    return out


async def public_url(settings: Settings) -> Finding:
    """The address people are sent to: in sign-in links, and what decides whether the cookie is for TLS only."""
    name, url = "public-url", settings.public_url
    if not url:
        here = f"http://{settings.host}:{settings.port}"
        if _loopback(settings.host):
            return ok(name, f"not set; people on this machine use {here}")
        found = (
            f"not set, and the server listens on {settings.host}: links are made of whatever address a request named"
        )
        return warning(
            name, found, "set GUILDHALL_PUBLIC_URL to the address people use, such as https://guild.example.org"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        return failed(name, f"{url} is not the address of a server", "write it as https://guild.example.org")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        found = f"{url}: keys and cookies travel in clear"
        return warning(name, found, "put the gateway with TLS before it (docs/gateway.md) and write https://")
    return ok(name, url)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret(settings: Settings) -> Finding:
    """Where the installation's secret comes from, and who can read it. Looks at the file; not at a hanging disk's pace,
    so it is called on a thread."""
    name, path = "secret", settings.data_dir / "secret"
    if not settings.embedded:
        if settings.secret_key:
            return ok(name, "GUILDHALL_SECRET_KEY is set; every process must have the same")
        do = "make one with `openssl rand -hex 32` and give it to every process; one that was moved keeps its own"
        return failed(name, "GUILDHALL_SECRET_KEY is not set", do)
    if not path.exists():
        if settings.secret_key:
            return ok(name, "GUILDHALL_SECRET_KEY is set")
        if any(settings.data_dir.glob("*.sqlite")):
            do = "restore it from the backup: without it nobody's token can be signed with the keys that are there"
            return failed(name, f"{path} is not there, but the databases are", do)
        return ok(name, f"the first start makes {path}")
    return _secret_file(settings, name, path)


def _secret_file(settings: Settings, name: str, path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return failed(name, f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    kept = path.read_text().strip()
    if len(kept) < 32 and not settings.secret_key:
        return failed(name, f"{path} holds fewer than 32 characters", "restore it from the backup")
    if settings.secret_key and settings.secret_key != kept:
        found = f"GUILDHALL_SECRET_KEY is set, and {path} holds another"
        return warning(name, found, "keep the one the installation was started with, and remove the other")
    return ok(name, f"{path}, readable by its owner only")
