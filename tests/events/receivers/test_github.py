"""GitHub's deliveries, one by one: what each becomes."""

import json
from typing import Any

import pytest

from services.events.receivers import github
from services.events.receivers.form import Delivery, NoSettings, Translation
from tests.events.receivers.senders.github import samples
from tests.events.receivers.sending import AT

RECORDED = {sample.name: sample for sample in samples()}


def told(event: str, body: dict[str, Any], delivery: str = "guid-1") -> Translation:
    headers = {"x-github-event": event, "x-github-delivery": delivery}
    return github.translate(Delivery(headers, {}, json.dumps(body).encode(), AT), NoSettings())


def comment(action: str, **more: Any) -> dict[str, Any]:
    written = {
        "id": 501,
        "user": {"id": 12},
        "created_at": "2026-11-25T11:00:00Z",
        "updated_at": "2026-11-25T11:30:00Z",
    }
    return {"action": action, "issue": {"id": 77}, "comment": {**written, **more}, "repository": {"id": 900}}


def test_a_comment_is_a_message_in_the_repository_that_replies_to_its_issue() -> None:
    [seen] = told("issue_comment", {**comment("created", body="hello"), "sender": {"id": 12}}).seen
    assert (seen.type, seen.actor, seen.author) == ("message.created", "github:12", None)
    assert (seen.group, seen.subject, seen.text) == ("github:repository/900", "comment:501", "hello")
    assert seen.data == {"reply_to": "issue:77"}
    assert seen.at is not None
    assert seen.at.isoformat() == "2026-11-25T11:00:00+00:00"


def test_a_comment_somebody_else_deletes_has_the_writer_as_author_and_no_time_of_its_own() -> None:
    [seen] = told("issue_comment", {**comment("deleted"), "sender": {"id": 5}}).seen
    assert (seen.type, seen.actor, seen.author, seen.at) == ("message.deleted", "github:5", "github:12", None)


def test_each_edit_is_a_thing_of_its_own_and_a_redelivery_is_not() -> None:
    once, later = ({**comment("edited", updated_at=f"2026-11-25T1{n}:30:00Z"), "sender": {"id": 12}} for n in (1, 2))
    ids = [told("issue_comment", body, guid).seen[0].id for guid, body in (("a", once), ("b", once), ("c", later))]
    assert ids[0] == ids[1] != ids[2]


def test_a_merged_pull_request_is_accepted_content_of_its_author() -> None:
    request = {"id": 1, "user": {"id": 12}, "merged": True, "merged_by": {"id": 5}, "merged_at": "2026-11-25T11:00:00Z"}
    [seen] = told("pull_request", {"action": "closed", "pull_request": request, "sender": {"id": 5}}).seen
    assert (seen.type, seen.actor, seen.author) == ("content.accepted", "github:5", "github:12")
    refused = {**request, "merged": False}
    assert told("pull_request", {"action": "closed", "pull_request": refused}).ignored == "closed_without_merging"


def test_who_leaves_a_team_or_a_repository_has_not_left_the_community() -> None:
    body = {"action": "removed", "member": {"id": 12}, "sender": {"id": 5}, "repository": {"id": 900}}
    for event, more, scope in (("membership", {"team": {"id": 3}}, "team"), ("member", {}, "repository")):
        [seen] = told(event, {**body, **more}).seen
        assert (seen.type, seen.actor, seen.data["scope"]) == ("member.left", "github:12", scope)


def test_what_a_bot_did_is_marked() -> None:
    [seen] = told("issue_comment", {**comment("created"), "sender": {"id": 12, "type": "Bot"}}).seen
    assert seen.data["bot"] is True


def test_a_kind_it_does_not_know_is_kept_under_its_name_without_what_it_says() -> None:
    [seen] = told("secret_scanning_alert", {"action": "created", "sender": {"id": 3}, "alert": {"x": "y"}}).seen
    assert (seen.type, seen.actor, seen.data) == ("github.secret_scanning_alert_created", "github:3", {})


@pytest.mark.skipif("discussion.answered" not in RECORDED, reason="the shared data is not at hand")
def test_recorded_deliveries_name_the_right_people() -> None:
    def first(name: str) -> Any:
        sample = RECORDED[name]
        [seen] = github.translate(Delivery(dict(sample.headers), {}, sample.body, AT), NoSettings()).seen
        return seen.type, seen.actor, seen.author

    body = json.loads(RECORDED["discussion.answered"].body)
    people = f"github:{body['sender']['id']}", f"github:{body['answer']['user']['id']}"
    assert first("discussion.answered") == ("answer.accepted", *people)
    assert first("discussion.created")[0] == "question.asked"
    assert first("member.added")[0] == first("organization.member_added")[0] == "member.joined"
    assert first("membership.removed")[0] == "member.left"
