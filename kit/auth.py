"""Who calls: API keys, member tokens, operator sessions, all checked in this process against local copies (K20-K22).

No request asks another service. A key is looked up at most every two seconds, so a revocation bites within that
time of reaching this service; while the database is away, or does not answer within half a second, a key seen before
stays good for 15 minutes, so that ingestion goes on. The community comes from the credential, or from
`Guildhall-Community` among the credential's own.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
from sqlalchemy import bindparam, select
from starlette.requests import Request

from kit import copies
from kit.contracts.platform import KeyUsed
from kit.database import DatabaseUnavailable, Question
from kit.errors import BadRequest, Forbidden, NotFound, TooManyRequests, Unauthorized
from kit.rates import Rates
from kit.service import ServiceRuntime

FRESH = timedelta(seconds=2)
STALE = timedelta(minutes=15)
LOOKUP_SECONDS = 0.5
CACHE_MOST = 10_000
COOKIE = "guildhall_session"
AUDIENCE = "guildhall"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
RATE = "guildhall.rate"
"""Where a request's scope says what its credential has left (`kit.rates.Taken`), for the headers of the answer."""

COMMUNITY_SCOPES = frozenset(
    {
        "channels:write",
        "communities:write",
        "connections:write",
        "events:import",
        "events:read",
        "events:replay",
        "events:text",
        "events:write",
        "keys:write",
        "members:read",
        "members:write",
        "notify:read",
        "notify:write",
        "ops:read",
        "ops:write",
        "rewards:read",
        "rewards:write",
        "tokens:write",
    }
)
_READ = frozenset(s for s in COMMUNITY_SCOPES if s.endswith(":read"))
ROLES: Mapping[str, frozenset[str]] = {
    "owner": COMMUNITY_SCOPES,
    "admin": COMMUNITY_SCOPES - {"communities:write"},
    "moderator": _READ | {"members:write", "notify:write", "rewards:write"},
    "analyst": _READ - {"ops:read"},
}
MEMBER_SCOPES = frozenset({"self"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, for which community, with which scopes. `member_id` only for a member token."""

    kind: str
    id: str
    community_id: UUID
    scopes: frozenset[str]
    member_id: UUID | None
    mode: str

    @property
    def actor(self) -> str:
        """How this caller stands in histories and reasons: `key:…`, `operator:…`, `member:…`."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class _Credential:
    kind: str
    id: str
    communities: tuple[UUID, ...]
    scopes: frozenset[str]
    mode: str
    expires_at: datetime | None
    key_id: UUID | None = None
    member_id: UUID | None = None


def hash_secret(secret: str) -> str:
    """How secrets are stored: lower-case hex SHA-256. They are long and random, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_key(mode: str = "live") -> tuple[str, str]:
    """A fresh API key: the secret to show once, and its hash to store."""
    secret = f"gh_{mode}_{secrets.token_urlsafe(32)}"
    return secret, hash_secret(secret)


class Authenticator:
    """One service's way from headers to a `Principal`; keeps what it looked up for a moment."""

    def __init__(self, one: ServiceRuntime) -> None:
        self._one = one
        keys, ends = one.db.table("known_keys"), one.db.table("known_token_revocations")
        # Asked for each of many callers, not only for one that comes often: a member's page is a read or two.
        self._key_of = Question(select(keys).where(keys.c.hash == bindparam("hash", type_=keys.c.hash.type)))
        self._ended = Question(
            select(ends.c.issued_before).where(
                ends.c.community_id == bindparam("community", type_=ends.c.community_id.type),
                ends.c.member_id == bindparam("member", type_=ends.c.member_id.type),
            )
        )
        self._credentials: dict[str, tuple[datetime, _Credential]] = {}
        self._principals: dict[tuple[str, str], tuple[datetime, Principal]] = {}
        self._public_keys: dict[str, tuple[datetime, Any]] = {}
        self._used: dict[UUID, datetime] = {}
        self._flushed: dict[UUID, datetime] = {}

    async def principal(self, authorization: str, cookie: str, community: str) -> Principal:
        """The caller of a request with these header values; Unauthorized, NotFound or BadRequest otherwise."""
        now = self._one.clock()
        asked = (authorization or cookie, community)
        kept = self._principals.get(asked)
        if kept is not None and now < kept[0]:
            return kept[1]
        credential = await self._credential(authorization, cookie, now)
        if credential.expires_at is not None and credential.expires_at <= now:
            what = {"key": "key", "member": "token"}.get(credential.kind, "session")
            raise Unauthorized(f"this {what} expired; get a new one", code=f"{what}_expired")
        community_id = await self._community(credential, community)
        if credential.key_id is not None:
            self._used[credential.key_id] = now
        principal = Principal(
            credential.kind, credential.id, community_id, credential.scopes, credential.member_id, credential.mode
        )
        if len(self._principals) >= CACHE_MOST:
            self._principals.clear()
        until = now + FRESH
        self._principals[asked] = (min(until, credential.expires_at or until), principal)
        return principal

    async def _credential(self, authorization: str, cookie: str, now: datetime) -> _Credential:
        if authorization:
            scheme, _, secret = authorization.partition(" ")
            if scheme.lower() != "bearer" or not secret:
                raise Unauthorized("send `Authorization: Bearer <key or token>`", code="authorization_malformed")
            if secret.startswith("gh_"):
                return await self._kept(hash_secret(secret), now, self._key)
            return await self._token(secret.strip(), now)
        if cookie:
            return await self._kept(hash_secret(cookie), now, self._session)
        raise Unauthorized(
            "send `Authorization: Bearer <key or token>`",
            code="credential_missing",
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _kept(
        self, digest: str, now: datetime, find: Callable[[str, datetime], Awaitable[_Credential]]
    ) -> _Credential:
        kept = self._credentials.get(digest)
        known = kept[1] if kept is not None and now - kept[0] < STALE else None
        try:
            # Who is known need not wait for a database that is there and does not answer.
            async with asyncio.timeout(LOOKUP_SECONDS if known is not None else None):
                credential = await find(digest, now)
        except (DatabaseUnavailable, TimeoutError):
            if known is not None:
                return known
            raise
        except Unauthorized:
            self._credentials.pop(digest, None)
            raise
        if len(self._credentials) >= CACHE_MOST:
            self._credentials.clear()
        self._credentials[digest] = (now, credential)
        return credential

    async def _key(self, digest: str, now: datetime) -> _Credential:
        row = next(iter(await self._one.db.ask(self._key_of, hash=digest)), None)
        if row is None or not hmac.compare_digest(row.hash, digest):
            raise Unauthorized("no such API key; it may take a second to be known here", code="key_unknown")
        if row.revoked_at is not None and row.revoked_at <= now:
            raise Unauthorized("this key was revoked; use its successor", code="key_revoked")
        communities = tuple(UUID(c) for c in row.communities)
        return _Credential(
            "key", str(row.key_id), communities, frozenset(row.scopes), row.mode, row.expires_at, key_id=row.key_id
        )

    async def _session(self, digest: str, now: datetime) -> _Credential:
        async with self._one.db.read() as tx:
            table = tx.database.table("known_sessions")
            row = await tx.first(select(table).where(table.c.hash == digest))
        if row is None or (row.revoked_at is not None and row.revoked_at <= now):
            raise Unauthorized("this session has ended; sign in again", code="session_ended")
        communities = tuple(UUID(c) for c in row.communities)
        scopes = ROLES.get(row.role, frozenset())
        return _Credential("operator", row.operator, communities, scopes, "live", row.expires_at)

    async def _token(self, token: str, now: datetime) -> _Credential:
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            public = await self._public_key(kid, now)
            # The clock is ours, so expiry is compared below and not against the system's time.
            claims = jwt.decode(
                token,
                public,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "sub", "community"]},
            )
            member, community = UUID(claims["sub"]), UUID(claims["community"])
            issued, expires = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthorized("this is no token of ours", code="token_invalid") from error
        if await self._revoked(community, member, issued):
            raise Unauthorized("this token was revoked", code="token_revoked")
        return _Credential("member", str(member), (community,), MEMBER_SCOPES, "live", expires, member_id=member)

    async def _public_key(self, kid: str, now: datetime) -> Any:
        kept = self._public_keys.get(kid)
        if kept is not None and now - kept[0] < FRESH:
            return kept[1]
        async with self._one.db.read() as tx:
            table = tx.database.table("known_signing_keys")
            row = await tx.first(select(table.c.x, table.c.retired_at).where(table.c.kid == kid))
        if row is None or (row.retired_at is not None and row.retired_at <= now):
            raise jwt.InvalidKeyError(f"unknown key {kid}")
        key = jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": row.x}).key
        self._public_keys[kid] = (now, key)
        return key

    async def _revoked(self, community: UUID, member: UUID, issued: datetime) -> bool:
        rows = await self._one.db.ask(self._ended, community=community, member=member)
        return any(issued <= row.issued_before for row in rows)

    async def _community(self, credential: _Credential, asked: str) -> UUID:
        own = credential.communities
        if not asked and len(own) == 1:
            return own[0]
        if asked:
            try:
                wanted = UUID(asked)
            except ValueError as error:
                raise BadRequest("Guildhall-Community is a community id", code="community_malformed") from error
            if own and wanted not in own:
                raise NotFound("no such community", code="community_unknown")
            try:
                async with asyncio.timeout(LOOKUP_SECONDS if wanted in own else None), self._one.db.read() as tx:
                    known = await copies.known_community(tx, wanted) is not None
            except (DatabaseUnavailable, TimeoutError):
                # The credential itself names it, and ingestion goes on while the database is away.
                if wanted not in own:
                    raise
                known = True
            if not known:
                raise NotFound("no such community", code="community_unknown")
            return wanted
        if not own:
            async with self._one.db.read() as tx:
                everyone = await copies.all_known_communities(tx)
            if len(everyone) == 1:
                return everyone[0]
        raise BadRequest(
            "this credential is for several communities: name one in Guildhall-Community", code="community_required"
        )

    def used(self, now: datetime) -> list[KeyUsed]:
        """Uses not announced yet, at most one a minute per key; hands them over."""
        due = {k: at for k, at in self._used.items() if now - self._flushed.get(k, at - STALE) >= timedelta(minutes=1)}
        for key_id, at in due.items():
            self._flushed[key_id] = at
            del self._used[key_id]
        return [KeyUsed(key_id=key_id, used_at=at) for key_id, at in due.items()]


def authenticator_of(one: ServiceRuntime) -> Authenticator:
    kept = one.memory.get("authenticator")
    if kept is None:
        kept = one.memory["authenticator"] = Authenticator(one)
    assert isinstance(kept, Authenticator)
    return kept


def check_same_origin(request: Request) -> None:
    """A browser's cookie changes nothing on behalf of another site (K22). Forbidden otherwise."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site in ("same-origin", "none") or (origin and urlsplit(origin).netloc == request.headers.get("host")):
        return
    raise Forbidden("a request with the session cookie must come from this site's own pages", code="cross_site")


async def caller(one: ServiceRuntime, request: Request) -> Principal:
    """The caller of a request, whatever its scopes; TooManyRequests when it asks too often."""
    principal = await _principal(one, request)
    rates = one.memory.get("rates")
    if rates is None:
        rates = one.memory["rates"] = Rates(one.settings.rate_per_second, one.settings.rate_burst)
    taken = rates.take(principal.actor)
    request.scope[RATE] = taken
    if taken.wait:
        raise TooManyRequests(
            f"this credential asks too often; wait {taken.wait} s, and send more at once where that can be",
            retry_after=taken.wait,
        )
    return principal


async def _principal(one: ServiceRuntime, request: Request) -> Principal:
    authorization = request.headers.get("authorization", "")
    cookie = "" if authorization else request.cookies.get(COOKIE, "")
    if cookie:
        check_same_origin(request)
    return await authenticator_of(one).principal(authorization, cookie, request.headers.get("guildhall-community", ""))


def check_scopes(principal: Principal, scopes: tuple[str, ...], *, member: bool = False) -> None:
    """Forbidden, naming the scope that is missing, unless the caller has all (or is a member where members may)."""
    if member and principal.member_id is not None:
        return
    missing = [scope for scope in scopes if scope not in principal.scopes]
    if missing:
        raise Forbidden(f"this credential lacks the scope {missing[0]}", code="scope_missing", scope=missing[0])


async def may_still(one: ServiceRuntime, request: Request, scope: str, *, member: bool = False) -> bool:
    """Whether the credential a stream began with is good yet: a revoked one must not go on listening."""
    try:
        check_scopes(await _principal(one, request), (scope,), member=member)
    except (Unauthorized, Forbidden, NotFound):
        return False
    return True


def requires(service: str, *scopes: str, member: bool = False) -> Callable[[Request], Awaitable[Principal]]:
    """A route's dependency: the caller, who has these scopes; `member=True` lets a member token in as well."""

    async def dependency(request: Request) -> Principal:
        one: ServiceRuntime = request.app.state.runtime.services[service]
        principal = await caller(one, request)
        check_scopes(principal, scopes, member=member)
        return principal

    return dependency
