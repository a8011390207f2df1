"""What platforms answer when they are asked how a connection is set up, as findings; whatever it is, nothing raises."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.outside import Answer, Call
from services.events.receivers import receivers
from services.events.receivers.asking import LEVELS, Check, Finding, Question
from services.events.receivers.telegram import WANTED, setup
from services.events.receivers.telegram_check import CHECK, Credentials

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OURS = "https://hall.example/v1/hooks/1"
CHECKS = {name: one.check for name, one in receivers().items() if one.check is not None}
every = pytest.mark.parametrize("platform", sorted(CHECKS))


def question(check: Check[Any], groups: Sequence[str] = ("-1", "@name")) -> Question[Any]:
    credentials = msgspec.convert(dict.fromkeys(check.credentials.__struct_fields__, "1:a-b_c"), check.credentials)
    return Question(credentials, check.base_url, OURS, tuple(groups), None, NOW)


def converse(check: Check[Any], asked: Question[Any], answers: list[Answer | None]) -> tuple[list[Call], list[Finding]]:
    """What is called, and what is found when that is answered one by one; with nothing when there are no more."""
    talk, made = check.ask(asked), []
    calls = next(talk)
    while True:
        made += calls
        try:
            calls = talk.send([answers.pop(0) if answers else None for _ in calls])
        except StopIteration as done:
            return made, list(done.value)


def answer(status: int, body: Any, **headers: str) -> Answer:
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def yes(result: Any) -> Answer:
    return answer(200, {"ok": True, "result": result})


ME = yes({"id": 7, "username": "hall_bot", "can_read_all_group_messages": True})


def of_webhook(**info: Any) -> dict[str, str]:
    """Level by code, of a webhook with these fields."""
    asked = question(CHECK, ["-1"])
    _, found = converse(CHECK, asked, [ME, yes({"url": OURS, **info}), yes({"status": "administrator"})])
    return {finding.code: finding.level for finding in found}


def of_group(*answers: Answer | None) -> list[tuple[str, str]]:
    _, found = converse(
        CHECK, question(CHECK, [f"-{n}" for n in range(len(answers))]), [ME, yes({"url": OURS}), *answers]
    )
    return [(finding.level, finding.code) for finding in found]


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
names = st.sampled_from([
    "ok", "result", "description", "error", "error_code", "parameters", "retry_after", "migrate_to_chat_id", "id",
    "status", "is_member", "url", "allowed_updates", "last_error_date", "last_error_message", "pending_update_count",
    "can_read_all_group_messages", "username", "bot_id", "team_id", "user_id",
])  # fmt: skip
values = st.recursive(scalars, lambda one: st.lists(one, max_size=3) | st.dictionaries(names, one, max_size=6))
bodies = st.binary(max_size=30) | values.map(lambda one: json.dumps(one).encode())
yeses = st.dictionaries(names, values).map(yes)
heads = st.dictionaries(st.sampled_from(["retry-after", "x-oauth-scopes"]), st.text(max_size=20))
statuses = st.sampled_from([200, 302, 400, 401, 403, 404, 429, 500])
answers = st.none() | yeses | st.builds(Answer, statuses, heads, bodies)


@every
@given(told=st.lists(answers, max_size=6), known=st.booleans())
def test_whatever_is_answered_is_read_without_raising(platform: str, told: list[Answer | None], known: bool) -> None:
    check = CHECKS[platform]
    _, found = converse(check, question(check), [ME, *told] if known else told)
    assert found
    for finding in found:
        assert finding.level in LEVELS
        assert finding.code
        assert finding.message.isprintable()
        assert (finding.level == "ok") == (not finding.advice)


@every
def test_what_is_asked_goes_to_the_address_given_and_only_reads(platform: str) -> None:
    check = CHECKS[platform]
    calls, _ = converse(check, question(check), [ME])
    assert {call.url.rpartition("/")[2] for call in calls} <= {"getMe", "getWebhookInfo", "getChatMember", "auth.test"}
    assert all(call.url.startswith(check.base_url + "/") for call in calls)


@pytest.mark.parametrize("token", ["", "7", "7:", "7:a/b", "7:a\n", "7:a?b", " 7:a", "x:a", "7:ä", "../7:a"])
def test_what_is_no_token_of_a_bot_never_becomes_part_of_an_address(token: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert({"token": token}, Credentials)
    assert len(token) < 3 or token not in str(refused.value)


def test_the_check_wants_what_the_command_of_the_setup_asks_for() -> None:
    telegram = receivers()["telegram"]
    snippet = setup(OURS, telegram.make_secrets({}), telegram.settings()).snippet
    assert all(f'"{name}"' in snippet for name in WANTED)
    assert of_webhook(allowed_updates=[*WANTED, "poll"])["updates_complete"] == "ok"


@pytest.mark.parametrize(
    "allowed", [None, [], ["message"], "message", [name for name in WANTED if name != "chat_member"]]
)
def test_without_being_named_members_and_reactions_are_not_sent(allowed: Any) -> None:
    info = {} if allowed is None else {"allowed_updates": allowed}
    assert of_webhook(**info)["updates_missing"] == "warning"


def test_a_few_updates_may_wait_and_many_are_a_sign() -> None:
    assert "updates_pending" not in of_webhook(pending_update_count=100)
    assert of_webhook(pending_update_count=101)["updates_pending"] == "warning"


def test_each_place_in_a_group_means_one_thing() -> None:
    kicked = answer(403, {"ok": False, "description": "Forbidden: bot was kicked from the supergroup chat"})
    lost = answer(400, {"ok": False, "description": "Bad Request: chat not found"})
    found = of_group(
        *(yes({"status": status}) for status in ("creator", "administrator", "member", "left", "kicked")),
        yes({"status": "restricted", "is_member": True}),
        yes({"status": "restricted", "is_member": False}),
        kicked,
        lost,
        answer(429, {"ok": False, "parameters": {"retry_after": 3}}),
        None,
    )
    places = [each for each in found if each[1] in ("not_administrator", "not_in_group", "administrator")]
    assert places == [
        ("warning", "not_administrator"),
        ("error", "not_in_group"),
        ("error", "not_in_group"),
        ("warning", "not_administrator"),
        *[("error", "not_in_group")] * 3,
        ("ok", "administrator"),
    ]
    assert {("warning", "platform_busy"), ("warning", "no_answer")} <= set(found)


def test_slack_tells_a_persons_token_from_a_bots() -> None:
    check = CHECKS["slack"]
    _, [found] = converse(check, question(check), [answer(200, {"ok": True, "user_id": "U1", "team_id": "T1"})])
    assert (found.level, found.code) == ("warning", "token_of_no_bot")
    _, [found] = converse(check, question(check), [answer(429, b"", **{"retry-after": "30"})])
    assert (found.code, "30 s" in found.advice) == ("platform_busy", True)
