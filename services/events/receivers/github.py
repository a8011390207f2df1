"""GitHub: webhooks of repositories and organisations, signed with HMAC-SHA256 over the body."""

from collections.abc import Sequence
from typing import Any

from services.events.receivers.form import Delivery, NoSettings, OneSecret, Receiver, Refused, Seen, Setup, Translation
from services.events.receivers.reading import (
    identity,
    inner,
    iso,
    items,
    json_object,
    one_secret,
    signed,
    unknown,
    whole_body,
    word,
    words,
)

PLATFORM = "github"

# Event and action, as GitHub names them, → our type, and the field that holds what it is about.
MESSAGES = {
    "issue_comment.created": ("message.created", "comment"),
    "issue_comment.edited": ("message.edited", "comment"),
    "issue_comment.deleted": ("message.deleted", "comment"),
    "discussion_comment.created": ("message.created", "comment"),
    "discussion_comment.edited": ("message.edited", "comment"),
    "discussion_comment.deleted": ("message.deleted", "comment"),
    "pull_request_review.submitted": ("github.pull_request_review.submitted", "review"),
    "issues.opened": ("github.issues.opened", "issue"),
    "pull_request.opened": ("github.pull_request.opened", "pull_request"),
    "release.published": ("github.release.published", "release"),
    "discussion.created": ("question.asked", "discussion"),
    "discussion.answered": ("answer.accepted", "answer"),
    "discussion.unanswered": ("github.discussion.unanswered", "old_answer"),
}
PEOPLE = {
    "member.added": ("member.joined", "member"),
    "member.removed": ("member.left", "member"),
    "membership.added": ("member.joined", "member"),
    "membership.removed": ("member.left", "member"),
    "organization.member_added": ("member.joined", "membership"),
    "organization.member_removed": ("member.left", "membership"),
    "organization.member_invited": ("member.invited", "invitation"),
}
PLAIN = {
    "star.created": "github.star.created",
    "star.deleted": "github.star.deleted",
    "fork": "github.fork",
    "push": "github.push",
}
IGNORED = {
    "ping": "greeting",
    "watch.started": "told_as_star",
    "team_add": "housekeeping",
    "label": "housekeeping",
    "milestone": "housekeeping",
    "issues.assigned": "housekeeping",
    "issues.labeled": "housekeeping",
    "issues.unlabeled": "housekeeping",
    "discussion.labeled": "housekeeping",
    "discussion.locked": "housekeeping",
    "discussion.category_changed": "housekeeping",
    "member.edited": "housekeeping",
    "pull_request.review_requested": "housekeeping",
    "pull_request.synchronize": "housekeeping",
    "pull_request_review.dismissed": "housekeeping",
}
_TIMES = ("submitted_at", "published_at", "answer_chosen_at", "closed_at", "created_at")


def verify(delivery: Delivery, secrets: Sequence[OneSecret], settings: NoSettings) -> Delivery:
    algorithm, _, given = delivery.headers.get("x-hub-signature-256", "").partition("=")
    if algorithm != "sha256" or not given:
        raise Refused("signature_missing", "no X-Hub-Signature-256: is the webhook's secret set on GitHub?")
    if not signed(delivery.body, given, [one.secret.encode() for one in secrets]):
        raise Refused(
            "signature_wrong", "the signature is not of this body and secret: is it this connection's secret?"
        )
    return delivery


def translate(delivery: Delivery, settings: NoSettings) -> Translation:
    body = json_object(delivery.body)
    event, action = delivery.headers.get("x-github-event", ""), word(body, "action")
    kind = f"{event}.{action}" if action else event
    for name in (kind, event):
        if name in IGNORED:
            return Translation(ignored=IGNORED[name])
    if kind == "pull_request.closed":
        return _closed(body)
    if kind in MESSAGES:
        return Translation((_message(body, kind),))
    if kind in PEOPLE:
        return Translation((_person(body, kind, delivery),))
    id = delivery.headers.get("x-github-delivery", "")[:100] or whole_body(delivery)
    actor, group, data = _user(inner(body, "sender")), _group(body), _bot(body)
    if kind in PLAIN:
        if kind == "push":
            data["commits"] = len(items(body, "commits"))
        at = iso(body, "starred_at")
        return Translation((Seen(type=PLAIN[kind], id=id, at=at, actor=actor, group=group, data=data),))
    return Translation((unknown(PLATFORM, kind, id, actor=actor, group=group, data=data),))


def _message(body: dict[str, Any], kind: str) -> Seen:
    """Something written: who wrote it is its author, who did this to it the actor."""
    name, field = MESSAGES[kind]
    thing, thread = inner(body, field), _thread(body)
    actor, author = _user(inner(body, "sender")), _user(inner(thing, "user") or inner(thing, "author"))
    number, changed = word(thing, "id"), iso(thing, "updated_at") if kind.endswith(".edited") else None
    data: dict[str, Any] = _bot(body)
    if thread and field == "comment":
        data["reply_to"] = thread
    if kind == "discussion.answered":
        data["question"] = thread
        changed = iso(inner(body, "discussion"), "answer_chosen_at")
    if kind.endswith(".deleted"):
        # GitHub tells the time of writing, not that of deleting.
        at = None
    else:
        at = changed or next((found for one in _TIMES if (found := iso(thing, one))), None)
    # Each time it is changed is a thing of its own.
    id = ":".join(part for part in (kind, number, changed.isoformat() if changed else "") if part)
    return Seen(
        type=name,
        id=id,
        at=at,
        actor=actor,
        author=author if author != actor or name == "answer.accepted" else None,
        group=_group(body),
        subject=f"{field.replace('old_', '')}:{number}" if number else None,
        data=data,
        text=words(thing, "body") or None,
        shared=True,
    )


def _person(body: dict[str, Any], kind: str, delivery: Delivery) -> Seen:
    """Somebody who came or went; who let them in is named in the data."""
    name, field = PEOPLE[kind]
    person = inner(body, field)
    who = _user(inner(person, "user") if field == "membership" else person)
    by = _user(inner(body, "sender"))
    team = word(inner(body, "team"), "id")
    group = f"{PLATFORM}:team/{team}" if team else _group(body)
    # GitHub tells no time, and the same person may come and go again: the delivery tells them apart.
    id = delivery.headers.get("x-github-delivery", "")[:100] or whole_body(delivery)
    data = {"invited_by": by} if by and by != who else {}
    if field == "member":
        # Of a team or a repository; who leaves it is still in the community.
        data["scope"] = "team" if team else "repository"
    return Seen(type=name, id=id, actor=who, group=group, data=data, notice=True)


def _closed(body: dict[str, Any]) -> Translation:
    """A pull request that was merged went in; one that was not did not."""
    thing = inner(body, "pull_request")
    if thing.get("merged") is not True:
        return Translation(ignored="closed_without_merging")
    number = word(thing, "id")
    seen = Seen(
        type="content.accepted",
        id=f"pull_request.merged:{number}",
        at=iso(thing, "merged_at"),
        actor=_user(inner(thing, "merged_by") or inner(body, "sender")),
        author=_user(inner(thing, "user")),
        group=_group(body),
        subject=f"pull_request:{number}",
        data=_bot(body),
        shared=True,
    )
    return Translation((seen,))


def _thread(body: dict[str, Any]) -> str | None:
    for field in ("issue", "discussion", "pull_request"):
        number = word(inner(body, field), "id")
        if number:
            return f"{field}:{number}"
    return None


def _user(user: dict[str, Any]) -> str | None:
    """By number: a login may be given up and taken by somebody else."""
    return identity(PLATFORM, word(user, "id"))


def _group(body: dict[str, Any]) -> str | None:
    repository, organization = word(inner(body, "repository"), "id"), word(inner(body, "organization"), "id")
    if repository:
        return f"{PLATFORM}:repository/{repository}"
    return f"{PLATFORM}:organization/{organization}" if organization else None


def _bot(body: dict[str, Any]) -> dict[str, Any]:
    return {"bot": True} if inner(body, "sender").get("type") == "Bot" else {}


def setup(url: str, secret: OneSecret, settings: NoSettings) -> Setup:
    return Setup(
        (
            "On GitHub open Settings → Webhooks → Add webhook, of the repository or of the organisation.",
            "Payload URL and Secret: as below. Content type: application/json.",
            "Choose the events you want to count: issues, comments, discussions, pull requests, stars, members.",
        ),
        f"Payload URL: {url}\nContent type: application/json\nSecret: {secret.secret}\n",
    )


RECEIVER = Receiver(
    platform=PLATFORM,
    title="GitHub",
    secrets=OneSecret,
    settings=NoSettings,
    make_secrets=one_secret,
    verify=verify,
    translate=translate,
    setup=setup,
)
