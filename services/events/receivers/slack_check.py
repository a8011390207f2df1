"""Slack asked whose a bot's token is and what it may: `auth.test`, whose answer names the scopes in a header."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from kit.outside import Answer, Call
from services.events.receivers.asking import (
    ERROR,
    OK,
    WARNING,
    Check,
    Conversation,
    Finding,
    Question,
    busy,
    no_answer,
    unclear,
)
from services.events.receivers.reading import answered_object, whole, word

TITLE = "Slack"
SCOPES = (
    "channels:history", "groups:history", "im:history", "mpim:history", "reactions:read", "channels:read",
    "groups:read", "users:read", "files:read",
)  # fmt: skip
GONE = frozenset({
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission",
    "not_allowed_token_type",
})  # fmt: skip


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`token`: the Bot User OAuth Token (`xoxb-…`)."""

    token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,500}\Z")]


def ask(asked: Question[Credentials]) -> Conversation:
    headers = {"Authorization": f"Bearer {asked.credentials.token}"}
    [answer] = yield [Call(f"{asked.base_url}/auth.test", b"{}", headers)]
    return [no_answer(TITLE)] if answer is None else _read(answer)


def _read(answer: Answer) -> Sequence[Finding]:
    body = answered_object(answer.body)
    error = word(body, "error")
    if answer.status == 429 or error == "ratelimited":
        return [busy(TITLE, whole(answer.headers, "retry-after"))]
    if error in GONE or answer.status == 401:
        message = f"Slack does not take this token ({error or 401})"
        return [
            Finding(ERROR, "token_refused", message, "Install the app (again); the token is under OAuth & Permissions.")
        ]
    if answer.status != 200 or body.get("ok") is not True:
        return [unclear(TITLE, answer.status, error)]
    if not word(body, "bot_id"):
        message = "this is the token of a person, not of the app's bot: what the bot may was not looked at"
        return [Finding(WARNING, "token_of_no_bot", message, "Give the Bot User OAuth Token (xoxb-…).")]
    known = f"the token is that of the bot {word(body, 'user_id')} in the workspace {word(body, 'team_id')}"
    return [Finding(OK, "token_known", known), *_scopes(answer.headers.get("x-oauth-scopes"))]


def _scopes(told: str | None) -> list[Finding]:
    if told is None:
        return []
    given = {scope.strip() for scope in told.split(",")}
    missing = [scope for scope in SCOPES if scope not in given]
    if not missing:
        return [Finding(OK, "scopes_complete", "the bot has every scope it needs")]
    message = f"the bot lacks the scopes {', '.join(missing)}: what they are for is not told"
    return [Finding(WARNING, "scopes_missing", message, "Add them to the app's manifest, and install the app again.")]


CHECK = Check(credentials=Credentials, base_url="https://slack.com/api", ask=ask)
