"""What the door keeps of a text (E9): on the log, on the timeline, whichever way it came in."""

from kit.contracts import ACTIVITY_TOPIC
from tests.events.support import Events, event, on_the_log

TEXT = "Please read the new house rules before you post here, thanks everybody!"


async def test_a_text_leaves_its_length_language_and_likeness_and_none_of_its_words(events: Events) -> None:
    for _ in range(2):
        # The second time by the quick way, since every name was seen before.
        await events.place.post(event(data={"text": TEXT}), event(data={"text": TEXT.lower(), "similarity": "0" * 16}))
    await events.place.post(event(id="claims", data={"similarity": "f" * 16, "length": 4}))
    await events.settle()
    *stored, claims = sorted(await events.place.timeline(), key=lambda e: (e["id"] == "claims", e["id"]))
    assert "similarity" not in claims["data"]
    assert {(e["data"]["length"], e["data"]["language"], e["data"]["has_link"]) for e in stored} == {(71, "en", False)}
    assert len({e["data"]["similarity"] for e in stored}) == 1
    assert [e["problem"] for e in stored] == [None] * 4
    said = [e for e in await on_the_log(events.log, ACTIVITY_TOPIC) if getattr(e, "type", "") == "message.created"]
    assert not [e for e in said if "text" in e.data or "house" in str(e)]


async def test_likeness_is_of_one_community(events: Events) -> None:
    other = await events.new_place()
    for place in (events.place, other):
        await place.post(event(data={"text": TEXT}))
    await events.settle()
    found = {(await place.timeline())[0]["data"]["similarity"] for place in (events.place, other)}
    assert len(found) == 2


async def test_a_sealed_text_is_nobody_s_to_send(events: Events) -> None:
    answer = await events.place.post(event(sealedtext="x"))
    assert answer["results"][0]["error"]["code"] == "attribute_reserved"
