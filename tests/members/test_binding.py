"""A code said in a chat: the identity becomes the member's, and who said it hears what came of it."""

from dataclasses import replace
from typing import Any

import pytest

from kit.contracts.members import BindAnswered, IdentityLinked
from tests.members.support import Members
from tests.members.test_identities import code_for, link


async def say(members: Members, code: str, identity: str, command: str = "bind") -> None:
    await members.hear(members.said("command.invoked", identity, command=command, arguments=code))


async def answers(members: Members) -> list[tuple[str, str, str | None]]:
    told = await members.announced(BindAnswered)
    return [(e.identity, e.outcome, str(e.member_id) if e.member_id else None) for e in told]


async def test_who_says_a_members_code_is_that_member_from_then_on(members: Members) -> None:
    ada = await members.add()
    code = await code_for(members, ada)
    await say(members, code.lower(), "qq:77")
    assert await answers(members) == [("qq:77", "linked", ada["id"])]
    [told] = await members.announced(IdentityLinked)
    assert (told.identity, str(told.member_id)) == ("qq:77", ada["id"])
    await say(members, code, "qq:78")
    assert (await answers(members))[1:] == [("qq:78", "refused", None)]


@pytest.mark.parametrize("code", ["", "AAAA0000", "x" * 19])
async def test_a_code_that_is_none_is_refused(members: Members, code: str) -> None:
    await say(members, code, "qq:77")
    assert await answers(members) == [("qq:77", "refused", None)]


async def test_an_identity_that_is_somebody_elses_stays_theirs_and_the_code_stays_good(members: Members) -> None:
    ada, ben = await members.add(), await members.add(display_name="Ben")
    await link(members, ben, "qq:2")
    code = await code_for(members, ada)
    await say(members, code, "qq:2")
    await say(members, code, "qq:3")
    assert await answers(members) == [("qq:2", "conflict", None), ("qq:3", "linked", ada["id"])]


async def test_who_guesses_is_stopped_and_what_was_said_beside_it_still_counts(members: Members) -> None:
    ada = await members.add()
    code = await code_for(members, ada)
    guesses = [members.said("command.invoked", "qq:9", command="bind", arguments=f"AAAA{n:04}") for n in range(12)]
    right = members.said("command.invoked", "qq:10", command="bind", arguments=code)
    await members.hear(*guesses, right)
    told = await answers(members)
    assert [outcome for identity, outcome, _ in told if identity == "qq:9"][-1] == "throttled"
    assert told[-1] == ("qq:10", "linked", ada["id"])


@pytest.mark.parametrize(
    "fields", [{"import_name": "old"}, {"flags": ("stale",)}, {"flags": ("late",)}, {"flags": ("throttled",)}]
)
async def test_history_binds_nobody(members: Members, fields: dict[str, Any]) -> None:
    ada = await members.add()
    said = members.said("command.invoked", "qq:77", command="bind", arguments=await code_for(members, ada))
    await members.hear(replace(said, **fields))
    assert await answers(members) == []


async def test_other_commands_bind_nobody(members: Members) -> None:
    ada = await members.add()
    await say(members, await code_for(members, ada), "qq:77", command="points")
    assert await answers(members) == []
