"""Every refusal is one kind of document, with a stable code, a sentence for a person and the request id (K11)."""

from typing import Any

import pytest

from tests.kit.stand import Stand


async def refused(stand: Stand, name: str) -> tuple[int, dict[str, Any], Any]:
    reply = await stand.client.get(f"/v1/scratch/refusals/{name}")
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert body["status"] == reply.status_code
    assert body["type"] == f"/problems/{body['code']}"
    assert body["request_id"] == reply.headers["x-request-id"] != ""
    return reply.status_code, body, reply.headers


@pytest.mark.parametrize(
    ("name", "status", "code", "detail"),
    [
        ("bad", 400, "scratch_bad", "this is bad"),
        ("who", 401, "unauthorized", "who are you"),
        ("unknown", 404, "not_found", "no such thing"),
        ("conflict", 409, "scratch_taken", "taken"),
        ("many", 429, "rate_limited", "slowly"),
        ("away", 503, "database_unavailable", "the database is away"),
    ],
)
async def test_a_refusal_has_the_status_code_and_words_it_was_raised_with(
    stand: Stand, name: str, status: int, code: str, detail: str
) -> None:
    got, body, _ = await refused(stand, name)
    assert (got, body["code"], body["detail"]) == (status, code, detail)


async def test_details_of_a_refusal_stand_beside_the_rest(stand: Stand) -> None:
    _, body, _ = await refused(stand, "conflict")
    assert (body["title"], body["holder"]) == ("Conflict", "somebody")


async def test_who_may_come_again_is_told_when(stand: Stand) -> None:
    for name, seconds in (("many", "7"), ("away", "3"), ("log", "1")):
        _, _, headers = await refused(stand, name)
        assert headers["retry-after"] == seconds


async def test_a_caller_without_credential_is_told_how_to_authenticate(stand: Stand) -> None:
    _, _, headers = await refused(stand, "who")
    assert headers["www-authenticate"] == "Bearer"


async def test_what_could_not_be_made_durable_is_503_and_tells_nothing_of_the_broker(stand: Stand) -> None:
    status, body, _ = await refused(stand, "log")
    assert (status, body["code"]) == (503, "log_unavailable")
    assert "a-secret-host" not in str(body)


async def test_each_fault_of_the_input_has_a_pointer(stand: Stand) -> None:
    _, body, _ = await refused(stand, "fields")
    assert body["errors"] == [
        {"pointer": "/a/0", "code": "too_small", "message": "is small"},
        {"pointer": "", "code": "x", "message": "y"},
    ]


async def test_a_bug_answers_500_with_the_request_id_and_nothing_of_the_inside(stand: Stand) -> None:
    status, body, _ = await refused(stand, "bug")
    assert (status, body["code"]) == (500, "internal")
    assert "hunter2" not in str(body)
    assert ".py" not in str(body)


async def test_a_body_that_does_not_fit_is_422_and_points_at_each_place(stand: Stand) -> None:
    reply = await stand.client.post("/v1/scratch/things?size=0", json={"name": "too long", "parts": [1, "x"]})
    body = reply.json()
    assert (reply.status_code, body["code"]) == (422, "validation_failed")
    assert {e["pointer"] for e in body["errors"]} == {"/name", "/parts/1", "/query/size"}
    assert all(e["message"] and e["code"] for e in body["errors"])


async def test_a_body_that_is_not_json_is_400(stand: Stand) -> None:
    reply = await stand.client.post(
        "/v1/scratch/things", content=b'{"name": ', headers={"Content-Type": "application/json"}
    )
    assert (reply.status_code, reply.json()["code"]) == (400, "json_invalid")
    assert reply.headers["content-type"] == "application/problem+json"


async def test_what_the_framework_refuses_looks_the_same(stand: Stand) -> None:
    nowhere = await stand.client.get("/v1/nowhere")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert nowhere.headers["content-type"] == "application/problem+json"
    wrong = await stand.client.delete("/v1/scratch/things")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]
