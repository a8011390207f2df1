"""Who may not, and where nothing is: credentials, scopes, other communities, routes, methods (K10, K11, K20)."""

from pathlib import Path

from tests.journeys.bad_input import NOBODY, door, get, problem, send, world
from tests.support.clock import ManualClock

ENTRY = {"member_id": "{ada}", "amount": 5, "reason": "for helping"}


CASES = {
    "no credential": (
        get("/v1/members", "nobody"),
        problem(401, "credential_missing", "send `Authorization: Bearer <key or token>`"),
    ),
    "another way to authenticate": (
        get("/v1/members", "nobody", Authorization="Basic YTpi"),
        problem(401, "authorization_malformed", "send `Authorization: Bearer <key or token>`"),
    ),
    "a bearer of nothing": (
        get("/v1/events", "nobody", Authorization="Bearer"),
        problem(401, "authorization_malformed", "send `Authorization: Bearer <key or token>`"),
    ),
    "noise as a credential": (
        get("/v1/boards", "noise"),
        problem(401, "token_invalid", "this is no token of ours"),
    ),
    "a key nobody made": (
        get("/v1/events", "forged key"),
        problem(401, "key_unknown", "no such API key; it may take a second to be known here"),
    ),
    "a token nobody signed": (
        get("/v1/accounts/{ada}", "forged token"),
        problem(401, "token_invalid", "this is no token of ours"),
    ),
    "an expired key": (
        door({}, who="expired key"),
        problem(401, "key_expired", "this key expired; get a new one"),
    ),
    "a revoked key": (
        door({}, who="revoked key"),
        problem(401, "key_revoked", "this key was revoked; use its successor"),
    ),
    "an expired token": (
        get("/v1/members/{ada}", "ada, an hour ago"),
        problem(401, "token_expired", "this token expired; get a new one"),
    ),
    "a session that has ended": (
        get("/v1/members", "nobody", Cookie="guildhall_session=x"),
        problem(401, "session_ended", "this session has ended; sign in again"),
    ),
    "a session used from another site": (
        send("/v1/entries", {}, "nobody", Cookie="guildhall_session=x", Origin="https://evil.example"),
        problem(403, "cross_site", "a request with the session cookie must come from this site's own pages"),
    ),
    "reading events without the scope": (
        get("/v1/events", "writer"),
        problem(403, "scope_missing", "this credential lacks the scope events:read", scope="events:read"),
    ),
    "the live tail without the scope": (
        get("/v1/events/stream", "writer"),
        problem(403, "scope_missing", "this credential lacks the scope events:read", scope="events:read"),
    ),
    "reading members without the scope": (
        get("/v1/members", "writer"),
        problem(403, "scope_missing", "this credential lacks the scope members:read", scope="members:read"),
    ),
    "reading a board without the scope": (
        get("/v1/boards", "writer"),
        problem(403, "scope_missing", "this credential lacks the scope rewards:read", scope="rewards:read"),
    ),
    "posting events without the scope": (
        door({}, who="reader"),
        problem(403, "scope_missing", "this credential lacks the scope events:write", scope="events:write"),
    ),
    "posting an entry without the scope": (
        send("/v1/entries", ENTRY, "reader"),
        problem(403, "scope_missing", "this credential lacks the scope rewards:write", scope="rewards:write"),
    ),
    "publishing rules without the scope": (
        send("/v1/rules", {"rules": []}, "reader"),
        problem(403, "scope_missing", "this credential lacks the scope rewards:write", scope="rewards:write"),
    ),
    "making a key without the scope": (
        send("/v1/keys", {"name": "x", "scopes": ["events:read"]}, "reader"),
        problem(403, "scope_missing", "this credential lacks the scope keys:write", scope="keys:write"),
    ),
    "a member who lists everybody": (
        get("/v1/members", "ada"),
        problem(403, "scope_missing", "this credential lacks the scope members:read", scope="members:read"),
    ),
    "a member who reads another member": (
        get("/v1/members/{eve}", "ada"),
        problem(404, "member_unknown", "no such member"),
    ),
    "a member who reads another's account": (
        get("/v1/accounts/{eve}", "ada"),
        problem(403, "not_yours", "a member token sees its own member only"),
    ),
    "a member who gives herself points": (
        send("/v1/entries", ENTRY, "ada"),
        problem(403, "scope_missing", "this credential lacks the scope rewards:write", scope="rewards:write"),
    ),
    "a member who posts events": (
        door({}, who="ada"),
        problem(403, "scope_missing", "this credential lacks the scope events:write", scope="events:write"),
    ),
    "another community by header": (
        get("/v1/members", Guildhall_Community="{other}"),
        problem(404, "community_unknown", "no such community"),
    ),
    "a community that does not exist": (
        get("/v1/events", Guildhall_Community=NOBODY),
        problem(404, "community_unknown", "no such community"),
    ),
    "a community by name": (
        get("/v1/boards", Guildhall_Community="Night Readers"),
        problem(400, "community_malformed", "Guildhall-Community is a community id"),
    ),
    "another community's charter": (
        get("/v1/communities/{other}"),
        problem(404, "community_unknown", "no such community"),
    ),
    "another community's member": (
        get("/v1/members/{eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "changing another community's member": (
        send("/v1/members/{eve}", {"display_name": "x"}, method="PATCH"),
        problem(404, "member_unknown", "no such member"),
    ),
    "moving another community's member": (
        send("/v1/members/{eve}/transitions", {"to": "left", "reason": "x"}),
        problem(404, "member_unknown", "no such member"),
    ),
    "a token for another community's member": (
        send("/v1/tokens", {"member_id": "{eve}"}),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's account": (
        get("/v1/accounts/{eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's entries": (
        get("/v1/accounts/{eve}/entries"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member among entries": (
        get("/v1/entries?member={eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's level": (
        get("/v1/levels/members/{eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's points, explained": (
        get("/v1/members/{eve}/points/explain"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's inbox": (
        get("/v1/inbox?member={eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's unread messages": (
        get("/v1/inbox/unread?member={eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's member's inbox, live": (
        get("/v1/inbox/stream?member={eve}"),
        problem(404, "member_unknown", "no such member"),
    ),
    "marking another community's member's inbox read": (
        send("/v1/inbox/read-all?member={eve}", {}),
        problem(404, "member_unknown", "no such member"),
    ),
    "another community's key": (
        send("/v1/keys/{their_key}", method="DELETE"),
        problem(404, "key_unknown", "no such key"),
    ),
    "another community's event": (
        get("/v1/events/by-key?source=/s&id=theirs"),
        problem(404, "event_unknown", "no such event here (yet: storing follows acceptance by a moment)"),
    ),
    "another community's type": (
        get("/v1/event-types/their.own"),
        problem(404, "type_unknown", "no schema was published for this type"),
    ),
    "another community's entry": (
        get("/v1/entries/{their_entry}"),
        problem(404, "entry_unknown", "no such entry"),
    ),
    "reversing another community's entry": (
        send("/v1/entries/{their_entry}/reversals", {"reason": "x"}),
        problem(404, "entry_unknown", "no such entry"),
    ),
    "points for another community's member": (
        send("/v1/entries", {**ENTRY, "member_id": "{eve}"}),
        problem(
            422,
            "member_unknown",
            "no member of this community has that id",
            ("/member_id", "member_unknown", "no member of this community has that id"),
        ),
    ),
    "another community's member on a board": (
        get("/v1/boards/xp/around/{eve}"),
        problem(404, "not_on_board", "this member is not on the board in this period"),
    ),
    "a route that is nowhere": (
        get("/v1/nothing"),
        problem(404, "not_found", "nothing is at /v1/nothing; see /docs"),
    ),
    "a page of another kind of site": (
        get("/wp-login.php"),
        problem(404, "not_found", "nothing is at /wp-login.php; see /docs"),
    ),
    "a method that is not there": (
        send("/v1/members", {}, method="PUT"),
        problem(405, "method_not_allowed", "PUT is not possible at /v1/members; use GET or POST"),
    ),
    "a method where there is only one": (
        send("/v1/limits", method="DELETE"),
        problem(405, "method_not_allowed", "DELETE is not possible at /v1/limits; use GET"),
    ),
    "posting to a stream": (
        send("/v1/events/stream", {}),
        problem(405, "method_not_allowed", "POST is not possible at /v1/events/stream; use GET"),
    ),
    "an unknown service's dead letters": (
        get("/v1/dead-letters?service=kitchen"),
        problem(404, "service_unknown", "no service 'kitchen' here; one of members, events, rewards, notify"),
    ),
}


async def test_every_refusal_reads_exactly_like_this(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        answers = await here.answers({name: ask for name, (ask, _) in CASES.items()})
    for name, (_, wanted) in CASES.items():
        assert answers[name] == wanted, name
