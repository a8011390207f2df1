"""An operator puts somebody into the staff: they earn no more and leave the board; and all of it ends with it (R18)."""

from typing import Any

from kit.contracts import activity_event_id, identity_member_id
from tests.support.platform import App

STRUCTURED = "application/cloudevents+json"


async def writes(app: App, who: str, number: int) -> str:
    """Somebody writes something; the event's id."""
    event = {"specversion": "1.0", "id": f"{who} {number}", "source": "/bots/one", "type": "message.created"}
    body = {**event, "data": {"actor": f"qq:{who}", "group": "qq:100"}}
    reply = await app.client.post("/v1/events", json=body, headers={"Content-Type": STRUCTURED})
    assert reply.json().get("accepted") == 1, reply.text
    await app.settle()
    return str(activity_event_id(app.community, "/bots/one", event["id"]))


async def get(app: App, path: str) -> Any:
    reply = await app.client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_who_is_put_into_the_staff_earns_no_more_and_leaves_the_board(platform: App) -> None:
    ann, bob = (str(identity_member_id(platform.community, f"qq:{who}")) for who in ("ann", "bob"))
    for number in range(2):
        await writes(platform, "ann", number)
    await writes(platform, "bob", 0)

    async def board(query: str = "") -> list[tuple[int, str, int]]:
        page = await get(platform, f"/v1/boards/xp{query}")
        assert page["total"] == len(page["items"])
        return [(line["rank"], line["member_id"], line["score"]) for line in page["items"]]

    async def verdicts(event: str) -> set[str]:
        return {d["verdict"] for d in (await get(platform, f"/v1/events/{event}/decisions"))["items"]}

    assert await board() == [(1, ann, 2), (2, bob, 1)]

    why = {"reason": "runs the place"}
    assert (await platform.client.put(f"/v1/segments/staff/members/{ann}", json=why)).status_code == 204
    await platform.settle()
    assert await board() == await board("?period=week") == [(1, bob, 1)]
    assert await verdicts(await writes(platform, "ann", 2)) == {"ineligible"}
    explained = (await get(platform, f"/v1/members/{ann}/points/explain"))["items"][0]
    assert "the member is in the segment staff" in explained["text"]
    [account] = [a for a in (await get(platform, f"/v1/accounts/{ann}"))["items"] if a["unit"] == "xp"]
    assert account["balance"] == 2
    assert await board("?segment=staff") == []

    gone = await platform.client.delete(f"/v1/segments/staff/members/{ann}?reason=handed+over")
    assert gone.status_code == 204
    await platform.settle()
    assert await verdicts(await writes(platform, "ann", 3)) == {"granted"}
    assert await board() == [(1, ann, 3), (2, bob, 1)]
    changes = (await get(platform, "/v1/segments/staff/changes"))["items"]
    assert [(c["change"], c["reason"]) for c in changes] == [("left", "handed over"), ("entered", "runs the place")]
