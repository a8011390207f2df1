"""Why points were given or not, in sentences a member can read, and in sums that the ledger confirms."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from services.rewards.domain.explaining import Decided, language_of, phrase, sentence
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.levels.support import by_hand, with_perks
from tests.rewards.serving import Rewards
from tests.support.told import told_in


async def explained(
    rewards: Rewards, name: str = "ann", *, limit: int = 50, language: str = "en", **params: Any
) -> list[dict[str, Any]]:
    """Every line, over as many pages as there are; each says in words what it says in numbers."""
    rewards.client.headers["Accept-Language"] = language
    path = f"/v1/members/{rewards.guild.member(name)}/points/explain"
    out: list[dict[str, Any]] = []
    while True:
        page = await rewards.get(path, limit=limit, **params)
        out += page["items"]
        if page["next"] is None:
            for line in out:
                assert told_in(line["text"], language) == {u: n for u, n in line["amounts"].items() if n}, line["text"]
            return out
        params["cursor"] = page["next"]


async def test_a_decision_is_told_per_rule_and_unit_with_the_entry_that_resulted(rewards: Rewards) -> None:
    await rewards.guild.publish(rule(name="Talk", amount=3, caps=[{"limit": 4}]), rule("late", lateness_hours=0))
    first, second = rewards.guild.act(late=timedelta(minutes=1)), rewards.guild.act()
    await rewards.guild.score(first, second)
    items = (await rewards.get(f"/v1/events/{second.event_id}/decisions"))["items"]
    assert [(d["rule_id"], d["verdict"], d["wanted"], d["amount"]) for d in items] == [
        ("late", "granted", 1, 1),
        ("talk", "capped", 3, 1),
    ]
    entry = await rewards.get(f"/v1/entries/{items[1]['transaction_id']}")
    assert (entry["amount"], entry["rule_id"], entry["source_event_id"]) == (1, "talk", str(second.event_id))
    other = (await rewards.get(f"/v1/events/{first.event_id}/decisions"))["items"]
    assert [(d["verdict"], d["transaction_id"] is None) for d in other] == [("late", True), ("granted", False)]
    assert (await rewards.get(f"/v1/events/{uuid4()}/decisions"))["items"] == []


async def test_rules_that_ran_and_did_not_match_are_named(rewards: Rewards) -> None:
    guild = rewards.guild
    never = {"when": "false"}
    await guild.publish(rule(), rule("b", **never), rule("a", **never), rule("off", enabled=False), rule("x", on="x.y"))
    act, other = guild.act(subject="m1"), guild.act("question.asked")
    await guild.score(act, other)
    await guild.publish(rule("later", **never))
    await guild.score(recalled := guild.act("message.recalled", at=MORNING + timedelta(minutes=5), subject="m1"))
    path = "/v1/events/{}/decisions"
    assert (await rewards.get(path.format(act.event_id)))["not_matched"] == ["a", "b"]
    for unknown in (other, recalled):
        assert (await rewards.get(path.format(unknown.event_id)))["not_matched"] is None


async def test_a_member_reads_what_happened_in_words_in_the_communitys_time(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule(name="Talk", caps=[{"limit": 1}]))
    await guild.score(guild.act(), guild.act(at=MORNING + timedelta(minutes=5)))
    lines = await explained(rewards)
    assert [line["text"] for line in lines] == [
        "message.created at 2026-11-23 08:05: rule Talk would have given 1 xp, but it is capped at 1 xp today",
        "message.created at 2026-11-23 08:00: rule Talk gave 1 xp",
    ]
    path = f"/v1/members/{guild.member('ann')}/points/explain"
    chinese = await rewards.client.get(path, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    assert chinese.json()["items"][1]["text"] == "2026-11-23 08:00 的 message.created:规则「Talk」给出 1 xp"


async def test_a_rule_is_called_as_now_and_one_that_is_gone_as_it_was_called(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule(name="Talk"), rule("old", name="Chat"))
    await guild.score(guild.act())
    await guild.publish(rule(name="Talking"))
    (line,) = await explained(rewards)
    said = "message.created at 2026-11-23 08:00: rule Chat gave 1 xp; rule Talking gave 1 xp"
    assert line["text"] == said


async def test_a_member_asks_about_itself_only(rewards: Rewards) -> None:
    await rewards.guild.score(rewards.guild.act())
    ann = await rewards.member("ann")
    own = await ann.get(f"/v1/members/{rewards.guild.member('ann')}/points/explain")
    assert (own.status_code, own.json()["items"][0]["amounts"]) == (200, {"points": 1, "xp": 1})
    other = await ann.get(f"/v1/members/{rewards.guild.member('bob')}/points/explain")
    assert (other.status_code, other.json()["code"]) == (403, "not_yours")


async def test_the_lines_of_two_days_are_cut_by_from_and_to(rewards: Rewards) -> None:
    guild = rewards.guild
    for n in range(4):
        await guild.score(guild.act(at=MORNING - timedelta(days=n)))
    cut = {"from": (MORNING - timedelta(days=2)).isoformat(), "to": MORNING.isoformat()}
    days = [line["effective_at"][:10] for line in await explained(rewards, **cut)]
    assert days == ["2026-11-22", "2026-11-21"]


async def test_a_cursor_or_time_that_is_none_is_refused(rewards: Rewards) -> None:
    path = f"/v1/members/{rewards.guild.member('ann')}/points/explain"
    for cursor in ("bm9uc2Vuc2U", "WyJuIiwxLDIsMyw0XQ", "WzFd"):
        assert await rewards.refused("GET", path, params={"cursor": cursor}) == (400, "cursor_invalid")
    assert (await rewards.refused("GET", path, params={"from": "0001-01-01T00:00:00+14:00"}))[0] == 422
    assert (await rewards.refused("GET", path, params={"from": "yesterday"}))[0] == 422


_acts = st.lists(
    st.tuples(
        st.sampled_from(["message.created", "reaction.added", "question.asked", "checkin.submitted"]),
        st.sampled_from(["ann", "bob", None]),
        st.integers(0, 72),
        st.sampled_from(["m1", "m2", None]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=15)
@given(acts=_acts, limit=st.integers(1, 7))
async def test_what_is_explained_sums_to_the_ledger_on_pages_of_any_size(
    rewards: Rewards, acts: list[tuple[str, str | None, int, str | None]], limit: int
) -> None:
    home = rewards.guild
    guild = Guild(home.db, (await make_guild(home.db)).id)
    await guild.score(
        *[
            guild.act(kind, by, MORNING - timedelta(hours=h), subject=on, of="ann" if by == "bob" else "bob")
            for kind, by, h, on in acts
        ]
    )
    rewards.guild, client = guild, rewards.client
    rewards.client = await rewards.key("rewards:read")
    try:
        for name in ("ann", "bob"):
            await guild.know(name)
            told: Counter[str] = Counter()
            for line in await explained(rewards, name, limit=limit):
                told.update(line["amounts"])
            chinese: Counter[str] = Counter()
            for line in await explained(rewards, name, limit=limit, language="zh"):
                chinese.update(told_in(line["text"], "zh"))
            assert +chinese == +told
            for unit in ("points", "xp"):
                assert told[unit] == await guild.has(name, unit)
    finally:
        rewards.guild, rewards.client = home, client


async def test_what_was_taken_back_says_why_in_both_languages_and_the_sum_is_the_balance(rewards: Rewards) -> None:
    guild = rewards.guild
    written = guild.act(subject="m1")
    await guild.score(written)
    await guild.score(guild.act("message.recalled", at=MORNING + timedelta(minutes=5), subject="m1"))
    lines = await explained(rewards)
    assert [line["amounts"] for line in lines] == [{"points": -1, "xp": -1}, {"points": 1, "xp": 1}]
    assert lines[0]["text"] == (
        "message.recalled at 2026-11-23 08:05: 1 points of rule Message taken back because the message was recalled; "
        "1 xp of rule Message taken back because the message was recalled"
    )
    (line, _) = await explained(rewards, language="zh")
    assert line["text"].startswith(
        "2026-11-23 08:05 的 message.recalled:因消息已撤回,收回规则「Message」给出的 1 points"
    )


def computed(source: str, to: str = "actor", **fields: Any) -> dict[str, Any]:
    return rule(on="checkin.submitted", give=[{"to": to, "unit": "xp", "cel": source}], **fields)


def on_day(guild: Guild, day: int, **fields: Any) -> Any:
    return guild.act("checkin.submitted", at=MORNING + timedelta(days=day - 3), late=timedelta(days=3 - day), **fields)


async def texts(rewards: Rewards, name: str = "ann", language: str = "en") -> list[str]:
    """Oldest first, without the event and its time."""
    lines = await explained(rewards, name, language=language)
    return [line["text"].partition(": ")[2] or line["text"].partition("submitted:")[2] for line in reversed(lines)]


async def test_a_computed_amount_is_told_with_its_formula_and_the_numbers_it_looked_at(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(computed("5 *\n  (1 + streak.current)", name="First", lateness_hours=99))
    await guild.score(on_day(guild, 1), on_day(guild, 2), on_day(guild, 3))
    assert await texts(rewards) == [
        f"rule First gave {5 * (1 + n)} xp = 5 * (1 + streak.current) (streak of {n})" for n in (1, 2, 3)
    ]
    assert (await texts(rewards, language="zh"))[2] == (
        "规则「First」给出 20 xp = 5 * (1 + streak.current) (连续 3 天)"
    )
    line = (await explained(rewards))[0]["decisions"][0]
    assert (line["verdict"], line["reason"]) == ("granted", "computed for actor: streak.current 3")


async def test_the_first_message_of_a_day_is_told_the_streak_that_its_amount_came_of(rewards: Rewards) -> None:
    guild = rewards.guild
    caps = [{"per": "day", "limit": 1, "of": "grants"}]
    formula = "10 * (streak.current < 7 ? 2 : 3) / 2"
    first = {**computed(formula, caps=caps), "id": "first-of-day", "on": ["message.created"]}
    await guild.publish(rule(amount=1), first)
    week = [guild.act("checkin.submitted", at=MORNING - timedelta(days=n), import_name="old") for n in range(7)]
    talk = guild.act(at=MORNING + timedelta(hours=1))
    await guild.score(guild.act("message.created", "bob"), *week, talk)
    assert await texts(rewards) == [
        f"rule first-of-day gave 15 xp = {formula} (streak of 7); rule talk gave 1 xp",
    ]
    assert await texts(rewards, "bob") == [
        f"rule first-of-day gave 10 xp = {formula} (streak of 0); rule talk gave 1 xp",
    ]
    assert (await explained(rewards, language="zh"))[0]["text"].endswith(
        f"规则「first-of-day」给出 15 xp = {formula} (连续 7 天);规则「talk」给出 1 xp"
    )


async def test_the_formula_is_that_of_the_version_that_ran(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(computed("streak.current + 1", lateness_hours=99))
    await guild.score(on_day(guild, 1))
    await guild.publish(computed("100", lateness_hours=99))
    await guild.score(on_day(guild, 2))
    assert await texts(rewards) == [
        "rule talk gave 2 xp = streak.current + 1 (streak of 1)",
        "rule talk gave 100 xp = 100",
    ]


async def test_a_limit_that_cuts_a_computed_amount_is_told_beside_its_formula(rewards: Rewards) -> None:
    guild = rewards.guild
    caps = [{"limit": 25, "per": "lifetime"}]
    await guild.publish(computed("10 * streak.current", caps=caps, lateness_hours=99))
    await guild.score(on_day(guild, 1), on_day(guild, 2))
    await guild.score(on_day(guild, 3))
    assert (await texts(rewards))[1:] == [
        "rule talk gave 15 of 20 xp = 10 * streak.current (streak of 2): it is capped at 25 xp ever",
        "rule talk would have given 30 xp = 10 * streak.current (streak of 3), but it is capped at 25 xp ever",
    ]
    assert (await texts(rewards, language="zh"))[1] == (
        "规则「talk」给出 15/20 xp = 10 * streak.current (连续 2 天):已达累计上限 25 xp"
    )


async def test_an_amount_that_came_to_nothing_says_of_what(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(computed("streak.current / 7"))
    await guild.score(on_day(guild, 3))
    assert await texts(rewards) == ["rule talk gave nothing: the amount is 0 = streak.current / 7 (streak of 1)"]


async def test_who_gets_for_what_another_did_is_told_whose_numbers_they_are(rewards: Rewards) -> None:
    guild = rewards.guild
    give = [{"to": to, "unit": "xp", "cel": f"{n} * counts.day"} for n, to in ((2, "actor"), (3, "subject_author"))]
    await guild.publish({"id": "both", "on": ["reaction.added"], "give": give})
    await guild.score(guild.act("reaction.added", "bob", of="ann"))
    assert await texts(rewards, "bob") == ["rule both gave 2 xp = 2 * counts.day (times that day: 1)"]
    assert await texts(rewards) == ["rule both gave 3 xp = 3 * counts.day (of who did it: times that day: 1)"]


async def test_a_level_that_multiplied_is_told_with_the_amount_before(rewards: Rewards) -> None:
    guild = await with_perks(rewards.guild)
    give = [{"to": "actor", "unit": "points", "multiplied": True, "cel": "5 * streak.current"}]
    await guild.publish(computed("actor.level"), rule("more", on="checkin.submitted", give=give))
    await guild.know("ann")
    await by_hand(guild, guild.member("ann"), 60)
    rewards.clock.advance(timedelta(days=1))
    await guild.score(on_day(guild, 4))
    assert await texts(rewards) == [
        "rule more gave 7 points = 5 × 1.5 rounded down (level 2), 5 = 5 * streak.current (streak of 1); "
        "rule talk gave 2 xp = actor.level (level 2)"
    ]
    assert (await texts(rewards, language="zh"))[0].startswith(
        "规则「more」给出 7 points = 5 × 1.5 向下取整(等级 2),5 = 5 * streak.current (连续 1 天)"
    )


async def test_how_cheating_is_seen_is_told_nobody(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(computed("signals.minute > 5 ? 1 : 3 + streak.current"))
    await guild.score(on_day(guild, 3))
    (line,) = await explained(rewards)
    assert line["text"].endswith(": rule talk gave 4 xp")
    assert line["decisions"][0]["reason"] == ""


async def test_what_waited_for_a_place_and_for_a_person_still_says_what_it_was_computed_from(rewards: Rewards) -> None:
    guild = rewards.guild
    cap = {"per": "day", "limit": 1, "of": "grants", "refill": True}
    give = [{"to": "actor", "unit": "xp", "cel": "2 * counts.day"}]
    await guild.publish(rule(give=give, caps=[cap], review_when="counts.day > 1"))
    await guild.score(guild.act(subject="m1"), guild.act(subject="m2", at=MORNING + timedelta(minutes=1)))
    formula = "4 xp = 2 * counts.day (times that day: 2)"
    assert (await texts(rewards))[1] == f"rule talk would have given {formula}, but it is capped at 1 time today"
    await guild.score(guild.act("message.recalled", subject="m1", at=MORNING + timedelta(minutes=2)))
    assert (await texts(rewards))[1] == f"rule talk would give up to {formula}: under review"
    (one,) = (await rewards.get("/v1/reviews"))["items"]
    assert one["grounds"] == {"counts.day": 2}
    reply = await rewards.client.post(
        "/v1/reviews/verdicts", json={"ids": [one["id"]], "verdict": "approve", "reason": "fine"}
    )
    assert reply.status_code == 200, reply.text
    assert (await texts(rewards))[1] == f"rule talk gave {formula}"


def test_every_verdict_has_words_in_both_languages() -> None:
    for verdict in (
        "granted",
        "capped",
        "cooldown",
        "ineligible",
        "budget_exhausted",
        "late",
        "throttled",
        "undone",
        "refused",
        "duplicate",
        "error",
    ):
        for amount in (0, 1):
            decided = Decided("Talk", "xp", verdict, 2, amount, "because")
            for language in ("en", "zh"):
                assert "Talk" in phrase(decided, language)
    assert sentence("message.created", MORNING, [], "en").startswith("message.created at 2026-11-23 08:00")


def test_the_language_is_the_first_one_asked_for_that_is_spoken() -> None:
    asked = {"": "en", "zh-CN,zh;q=0.9": "zh", "fr,zh;q=0.8": "zh", "en-GB": "en", "de": "en", ";;,": "en"}
    assert {header: language_of(header) for header in asked} == asked
