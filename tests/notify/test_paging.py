"""Lists are walked forwards and back again, also while new messages arrive."""

import pytest

from tests.notify.support import Notify
from tests.notify.test_inbox import filled


@pytest.mark.parametrize("path", ["/v1/inbox", "/v1/messages"])
async def test_pages_walked_forwards_and_back_are_the_same_pages(notify: Notify, path: str) -> None:
    ann = await notify.place.member("Ann")
    made = [message["id"] for message in reversed(await filled(notify, ann, 7))]
    query = {"member": str(ann), "limit": 3}

    pages = [await notify.place.get(path, **query)]
    assert pages[0]["prev"] is None
    while pages[-1]["next"] is not None:
        pages.append(await notify.place.get(path, **query, cursor=pages[-1]["next"]))
    assert [item["id"] for page in pages for item in page["items"]] == made

    await filled(notify, ann, 1)
    for page in reversed(pages[:-1]):
        back = await notify.place.get(path, **query, cursor=pages[pages.index(page) + 1]["prev"])
        assert back["items"] == page["items"]
    newest = await notify.place.get(path, **query, cursor=pages[0]["next"])
    before = await notify.place.get(path, **query, cursor=newest["prev"])
    assert before["prev"] is not None, "one came meanwhile"
