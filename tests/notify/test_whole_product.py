"""From an event at the door to a message in an inbox, through every service, on both sets of engines."""

from datetime import timedelta
from typing import Any

import httpx2
import pypdfium2

from kit.clock import system_clock
from kit.contracts import identity_member_id
from tests.support.http import client_of
from tests.support.platform import App


def checkin(actor: str, id: str, **fields: Any) -> dict[str, Any]:
    data = {"actor": actor, "group": "demo:hall", **fields.pop("data", {})}
    return {"specversion": "1.0", "id": id, "source": "/whole", "type": "checkin.submitted", "data": data, **fields}


async def post(app: App, *events: dict[str, Any], **headers: str) -> None:
    kind = {"Content-Type": "application/cloudevents-batch+json"}
    reply = await app.client.post("/v1/events", json=list(events), headers=kind | headers)
    assert reply.status_code == 200, reply.text
    assert reply.json().get("rejected", 0) == 0, reply.text
    await app.settle()


async def token(app: App, identity: str) -> httpx2.AsyncClient:
    platform, _, external_id = identity.partition(":")
    wanted = {"identity": {"platform": platform, "external_id": external_id}}
    made = await app.client.post("/v1/tokens", json=wanted)
    assert made.status_code == 201, made.text
    return client_of(app.url, headers={"Authorization": f"Bearer {made.json()['token']}"}, timeout=60)


async def test_who_checks_in_reads_of_it_once_and_bots_history_and_the_banned_do_not(platform: App) -> None:
    app = platform
    await post(app, checkin("demo:alice", "1"), checkin("demo:robot", "2", data={"bot": True}))
    await post(app, checkin("demo:alice", "1"))
    last_year = (system_clock() - timedelta(days=365)).isoformat()
    await post(app, checkin("demo:old", "3", time=last_year), **{"Guildhall-Import": "archive"})
    carol = identity_member_id(app.community, "demo:carol")
    await app.client.post(
        "/v1/members",
        json={"display_name": "Carol", "identity": {"platform": "demo", "external_id": "carol"}},
    )
    await app.client.post(f"/v1/members/{carol}/transitions", json={"to": "banned", "reason": "spam"})
    await app.settle()
    await post(app, checkin("demo:carol", "4"))
    async with await token(app, "demo:alice") as alice:
        told = (await alice.get("/v1/inbox")).json()["items"]
        assert sorted(m["template"] for m in told) == ["board.first", "points.granted"]
        assert "+10 points, +10 XP for your check-in" in {m["title"] for m in told}
        assert (await alice.get("/v1/inbox/unread")).json() == {"unread": 2}
        assert (await alice.post("/v1/inbox/read-all", json={})).json() == {"read": 2, "unread": 0}
    everything = (await app.client.get("/v1/messages", params={"state": "delivered"})).json()["items"]
    assert {m["member_id"] for m in everything} == {str(identity_member_id(app.community, "demo:alice"))}


async def test_who_finishes_the_first_steps_reads_of_a_badge_and_shows_its_certificate_to_a_stranger(
    platform: App,
) -> None:
    app = platform
    await post(app, {**checkin("demo:dora", "d1"), "type": "onboarding.finished"})
    dora = identity_member_id(app.community, "demo:dora")
    async with await token(app, "demo:dora") as client:
        told = (await client.get("/v1/inbox")).json()["items"]
        assert "Badge “Welcome”" in {m["title"] for m in told}
        mine = (await client.get(f"/v1/badges/members/{dora}")).json()["items"]
        assert [item["badge_id"] for item in mine if item["held"]] == ["welcome"]
        sheet = await client.get(f"/v1/badges/welcome/members/{dora}/certificate", params={"format": "pdf"})
        assert (sheet.status_code, sheet.content[:5]) == (200, b"%PDF-")
        name = sheet.headers["content-disposition"]
    text = str(pypdfium2.PdfDocument(sheet.content)[0].get_textpage().get_text_range())
    link = next(line for line in text.splitlines() if "/v1/badges/certificates/" in line)
    assert name.partition("certificate-")[2][:8] in link
    async with httpx2.AsyncClient(timeout=60) as stranger:
        shown = (await stranger.get(link)).json()
    assert (shown["valid"], shown["badge"]) == (True, "Welcome")
