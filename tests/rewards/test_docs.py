"""What the pages about rewards say is tried: every request is sent, the table of the starter rules compared."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec

from services.rewards.domain.amounts import Curve, Effort, RandomAmount
from services.rewards.domain.rules import Cap, Rule
from services.rewards.domain.seasons import Season
from services.rewards.expressions import VARIABLES
from services.rewards.handlers.sealing import seal_some
from services.rewards.starter_rules import CONTRIBUTION, POINTS_AND_XP, STARTER
from tests.rewards.serving import Rewards

DOCS = Path(__file__).parents[2] / "docs"


def requests() -> list[tuple[str, str, Any]]:
    """(method, path, body) of the blocks of docs/rewards.md, in their order."""
    out = []
    for block in re.findall(r"```http\n(.*?)```", (DOCS / "rewards.md").read_text(), re.DOTALL):
        line, _, body = block.partition("\n")
        method, path = line.split()
        out.append((method, path, msgspec.json.decode(body) if body.strip() else None))
    return out


async def test_every_request_on_the_page_is_answered_as_the_page_says(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.know("ann")
    message = guild.act()
    await guild.score(message)
    # What the freeze and the repair of the page cost.
    await guild.give(guild.grant(guild.member("ann"), 50))
    second = await rewards.key("rewards:read", "rewards:write")
    ids = {"{member}": str(guild.member("ann")), "{event}": str(message.event_id), "{number}": "1"}
    statuses: dict[str, list[int]] = {}
    for method, written, body in requests():
        path = re.sub(r"\{\w+\}", lambda found: ids[found[0]], written)
        client = second if "/adjustments/" in path else rewards.client
        if path == "/v1/entries/chain":
            rewards.clock.advance(timedelta(seconds=6))
            await seal_some(rewards.guild.db)
        reply = await client.request(method, path, json=body)
        statuses.setdefault(f"{method} {written.partition('?')[0]}", []).append(reply.status_code)
        if written == "/v1/entries" and reply.status_code == 201:
            ids["{entry}"] = reply.json()["id"]
        if written == "/v1/entries/holds" and reply.status_code == 201:
            ids["{hold}"] = reply.json()["id"]
        if reply.status_code == 202 and not path.endswith("/backfill"):
            ids["{adjustment}" if "/entries" in written else "{simulation}"] = reply.json()["id"]
    decided = statuses.pop("POST /v1/entries/adjustments/{adjustment}/refusal")
    assert decided == [409]
    assert statuses.pop("POST /v1/entries/holds/{hold}/release") == [409]
    assert statuses.pop("POST /v1/entries") == [201, 202, 201, 201]
    assert statuses.pop("POST /v1/rules/simulations") == [202]
    assert statuses.pop("POST /v1/badges/active/backfill") == [202]
    assert {status for some in statuses.values() for status in some} <= {200, 201, 204}, statuses
    assert (await rewards.get("/v1/rules"))["version"] == 2


async def test_what_the_page_says_is_wrong_is_wrong(rewards: Rewards) -> None:
    wrong, *right = [body for _, path, body in requests() if path == "/v1/rules/check"]
    for body in right:
        assert (await rewards.client.post("/v1/rules/check", json=body)).json()["ok"] is True, body
    checked = (await rewards.client.post("/v1/rules/check", json=wrong)).json()
    (error,) = checked["errors"]
    assert error["message"].startswith("line 1, column 1: there is no event.typ; did you mean event.type?")


def limit(cap: Cap) -> str:
    """A cap as the table of docs/starter-rules.md says it."""
    once = {
        ("member", "day"): "once a day",
        ("member", "lifetime"): "once",
        ("object", "lifetime"): "once per",
        ("actor_object", "lifetime"): "once per person and object",
    }
    return once[cap.scope, cap.per] if cap.of == "grants" else f"{cap.limit} a {cap.per}"


def test_the_table_of_the_starter_rules_is_the_starter_rules() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \| ([^|]+) \| (\d+) \| ([^|]+) \| ([^|]+) \|$",
                      (DOCS / "starter-rules.md").read_text(), re.MULTILINE)  # fmt: skip
    documented = {id: (on, to, int(amount), limits, why) for id, on, to, amount, limits, why in rows}
    assert list(documented) == [rule.id for rule in STARTER.rules]
    for rule in STARTER.rules:
        on, to, amount, limits, why = documented[rule.id]
        assert [on] == list(rule.on)
        assert {(to.startswith("author"), amount)} == {(g.to == "subject_author", g.amount) for g in rule.give}
        assert [g.unit for g in rule.give][:2] == list(POINTS_AND_XP)
        assert all(limit(cap) in limits for cap in rule.caps), (rule.id, limits)
        assert limits.count(";") + 1 == len(rule.caps)
        assert why.strip().endswith(".")


def test_the_page_says_of_each_rule_that_gives_contribution_how_much_and_why() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| (\d+) \| ([^|]+\.) \|$", (DOCS / "starter-rules.md").read_text(), re.MULTILINE
    )
    documented = {id: int(amount) for id, amount, _ in rows}
    assert documented == {rule.id: g.amount for rule in STARTER.rules for g in rule.give if g.unit == CONTRIBUTION}


def test_every_field_of_a_rule_and_every_variable_is_on_the_page() -> None:
    page = (DOCS / "rewards.md").read_text()
    fields = [name for of in (Rule, Cap, Season, RandomAmount, Effort) for name in of.__dataclass_fields__]
    for name in (*fields, *get_args(Curve), *VARIABLES):
        assert f"`{name}`" in page or f"`{name}:" in page, name
