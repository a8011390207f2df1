"""OneBot v11's notices and requests: what each becomes, what is told twice, who is nobody."""

import pytest

from services.members.domain import about_community
from tests.events.receivers.onebot_events import ADMIN, BOT, GROUP, OTHER_BOT, TIME, A, B, notice, one, request, told

# --- what becomes of messages


def test_who_takes_back_what_they_wrote_recalls_it() -> None:
    seen = one(**notice("group_recall", operator_id=A, message_id=-1340512200))
    assert (seen.type, seen.actor, seen.author) == ("message.recalled", f"qq:{A}", None)
    assert (seen.about, seen.group, seen.shared) == ("-1340512200", f"qq:{GROUP}", True)


def test_who_removes_what_another_wrote_deletes_it() -> None:
    seen = one(**notice("group_recall", operator_id=ADMIN, message_id=7))
    assert (seen.type, seen.actor, seen.author) == ("message.deleted", f"qq:{ADMIN}", f"qq:{A}")
    unknown = one(**notice("group_recall", operator_id=0, message_id=7))
    assert (unknown.type, unknown.actor, unknown.author) == ("message.deleted", None, f"qq:{A}")


def test_a_recall_in_private_is_the_writers() -> None:
    seen = one(**notice("friend_recall", group_id=None, message_id=7))
    assert (seen.type, seen.actor, seen.about) == ("message.recalled", f"qq:{A}", "7")
    assert (seen.group, seen.shared) == (None, False)


def test_a_recall_that_is_told_twice_is_one() -> None:
    body = notice("group_recall", user_id=BOT, operator_id=BOT, message_id=7)
    first, second = one(**body), one(**body, time=TIME + 90)
    assert first.id == second.id
    assert first.data == {"bot": True}
    assert one(**{**body, "message_id": 8}).id != first.id


def test_each_emoji_on_a_message_is_a_reaction() -> None:
    likes = [{"emoji_id": "282", "count": 1}, {"emoji_id": "76", "count": 3}, {"emoji_id": "76", "count": 3}, 7]
    first, second = told(**notice("group_msg_emoji_like", user_id=B, message_id=7, likes=likes, is_add=True)).seen
    assert (first.type, first.actor, first.about, first.data) == ("reaction.added", f"qq:{B}", "7", {"kind": "282"})
    assert (second.data, first.id != second.id) == ({"kind": "76"}, True)


def test_a_reaction_without_a_word_of_it_was_added() -> None:
    likes = [{"emoji_id": "282", "count": 1}]
    silent, added, removed = (
        one(**notice("group_msg_emoji_like", user_id=B, message_id=7, likes=likes, **more))
        for more in ({}, {"is_add": True}, {"is_add": False})
    )
    assert (silent, removed.type) == (added, "reaction.removed")
    assert len({silent.id, removed.id}) == 2
    assert told(**notice("group_msg_emoji_like", message_id=7, likes=[])).ignored == "says_nothing"


def test_lagrange_names_who_reacted_as_the_operator() -> None:
    body = {**notice("reaction", operator_id=B, message_id=-7, code="282", count=2), "user_id": None}
    added, removed = one(**body, sub_type="add"), one(**body, sub_type="remove")
    assert (added.type, added.actor, added.about, added.data) == ("reaction.added", f"qq:{B}", "-7", {"kind": "282"})
    assert removed.type == "reaction.removed"


def test_an_essence_message_has_its_writer_as_author() -> None:
    body = notice("essence", sub_type="add", sender_id=A, operator_id=ADMIN, message_id=7)
    added = one(**body)
    assert (added.type, added.actor, added.author) == ("onebot-v11.essence_added", f"qq:{ADMIN}", f"qq:{A}")
    assert added.about == "7"
    assert one(**{**body, "sub_type": "delete", "user_id": None}).type == "onebot-v11.essence_removed"
    assert one(**{**body, "operator_id": A}).author is None


# --- who came and went


def test_who_was_let_in_joined_and_who_was_fetched_names_who_did() -> None:
    let_in = one(**notice("group_increase", sub_type="approve", operator_id=ADMIN))
    assert (let_in.type, let_in.actor, let_in.data) == ("member.joined", f"qq:{A}", {"via": "approve"})
    assert (let_in.notice, let_in.shared) == (True, True)
    fetched = one(**notice("group_increase", sub_type="invite", operator_id=B))
    assert fetched.data == {"via": "invite", "invited_by": f"qq:{B}"}
    assert one(**notice("group_increase", sub_type="invite", operator_id=0)).data == {"via": "invite"}


def test_two_bots_that_tell_of_a_join_seconds_apart_and_know_unlike_much_of_it_count_once() -> None:
    known = one(**notice("group_increase", sub_type="invite", operator_id=B))
    later = one(**notice("group_increase", sub_type="approve", operator_id=0, self_id=OTHER_BOT, time=TIME + 2))
    assert known.id == later.id
    assert one(**notice("group_increase", sub_type="approve", time=TIME + 60)).id != known.id
    assert one(**notice("group_increase", sub_type="approve", user_id=B)).id != known.id
    assert one(**notice("group_increase", sub_type="approve", group_id=500002)).id != known.id


def test_who_leaves_left_and_who_is_put_out_is_named_beside_the_operator() -> None:
    left = one(**notice("group_decrease", sub_type="leave", operator_id=A))
    assert (left.type, left.actor, left.data, left.notice) == ("member.left", f"qq:{A}", {}, True)
    kicked = one(**notice("group_decrease", sub_type="kick", operator_id=ADMIN))
    assert (kicked.type, kicked.actor, kicked.data) == ("member.kicked", f"qq:{ADMIN}", {"member": f"qq:{A}"})
    assert one(**notice("group_decrease", sub_type="kick", operator_id=0)).actor is None


def test_an_operator_is_never_taken_for_the_one_put_out() -> None:
    nobody = one(**notice("group_decrease", sub_type="kick", user_id=0, operator_id=ADMIN))
    assert (nobody.actor, nobody.data) == (None, {})


def test_a_bot_that_is_put_out_tells_so_itself() -> None:
    body = notice("group_decrease", sub_type="kick_me", user_id=BOT, operator_id=ADMIN)
    seen = one(**body)
    assert (seen.type, seen.actor, seen.data) == ("member.kicked", f"qq:{ADMIN}", {"member": f"qq:{BOT}"})
    assert (seen.shared, seen.notice) == (False, True)


def test_a_group_that_is_dissolved_puts_nobody_out_in_particular() -> None:
    seen = one(**notice("group_decrease", sub_type="disband", user_id=0, operator_id=ADMIN))
    assert (seen.type, seen.actor) == ("onebot-v11.group_decrease_disband", f"qq:{ADMIN}")


def test_who_asks_to_come_in_is_heard_with_what_they_wrote() -> None:
    body = request("group", sub_type="add", group_id=GROUP, comment="because\0", flag="17")
    seen = one(**body)
    assert (seen.type, seen.actor, seen.text, seen.subject) == ("member.join_requested", f"qq:{A}", "because", "17")
    assert (seen.data, seen.shared, seen.notice) == ({}, True, True)
    assert one(**body, time=TIME + 3600).id == seen.id, "asked for again after a login"
    assert one(**{**body, "flag": "18"}).id != seen.id
    assert one(**{**body, "comment": "", "invitor_id": B}).data == {"invited_by": f"qq:{B}"}


def test_who_wants_the_bot_in_a_group_invites_it() -> None:
    seen = one(**request("group", sub_type="invite", group_id=GROUP, flag="17"))
    assert (seen.type, seen.actor, seen.shared) == ("member.invited", f"qq:{BOT}", False)
    assert seen.data == {"invited_by": f"qq:{A}", "bot": True}


def test_who_wants_to_be_a_friend_is_kept_with_what_they_wrote() -> None:
    seen = one(**request("friend", comment="hello", flag="17"))
    assert (seen.type, seen.actor, seen.text) == ("onebot-v11.friend_request", f"qq:{A}", "hello")
    assert (seen.group, seen.shared) == (None, False)
    assert one(**notice("friend_add", group_id=None)).type == "onebot-v11.friend_add"


# --- what else happens in a group


def test_who_is_silenced_stays_a_member() -> None:
    banned = one(**notice("group_ban", sub_type="ban", operator_id=ADMIN, duration=1800))
    assert (banned.type, banned.actor) == ("member.banned", f"qq:{ADMIN}")
    assert banned.data == {"member": f"qq:{A}", "scope": "speech", "duration": 1800}
    lifted = one(**notice("group_ban", sub_type="lift_ban", operator_id=ADMIN, duration=0))
    assert (lifted.type, lifted.data) == ("member.unbanned", {"member": f"qq:{A}", "scope": "speech"})
    assert not about_community(banned.type, banned.data["scope"]), "members does not ban whoever is silenced"


@pytest.mark.parametrize("length", [-1, 0, 268435455])
def test_a_whole_group_that_is_silenced_is_nobody_banned(length: int) -> None:
    banned, lifted = (
        one(**notice("group_ban", sub_type=sub, user_id=0, operator_id=ADMIN, duration=length))
        for sub in ("ban", "lift_ban")
    )
    assert (banned.type, lifted.type) == ("onebot-v11.everybody_muted", "onebot-v11.everybody_unmuted")
    assert (banned.actor, banned.data) == (f"qq:{ADMIN}", {})


def test_an_anonymous_writer_who_is_silenced_is_not_the_whole_group() -> None:
    seen = one(**notice("group_ban", sub_type="ban", user_id=80000000, operator_id=ADMIN, duration=60))
    assert (seen.type, seen.data) == ("member.banned", {"scope": "speech", "duration": 60})


def test_an_admin_is_made_and_unmade() -> None:
    made, unmade = (one(**notice("group_admin", sub_type=sub)) for sub in ("set", "unset"))
    assert (made.type, made.actor, made.data) == ("member.role_changed", f"qq:{A}", {"role": "admin"})
    assert unmade.data == {"role": "member"}


def test_a_new_name_is_told_without_the_name() -> None:
    seen = one(**notice("group_card", card_new="a new name", card_old="an old name"))
    assert (seen.type, seen.actor, seen.data) == ("member.renamed", f"qq:{A}", {})
    assert "name" not in repr(seen).replace("renamed", "")


def test_a_file_is_told_by_its_size_and_without_its_name() -> None:
    file = {"id": "/f-1", "name": "secret.pdf", "size": 2048, "busid": 102}
    seen = one(**notice("group_upload", file=file))
    assert (seen.type, seen.subject, seen.data) == ("file.uploaded", "/f-1", {"kind": "file", "size": 2048})
    again = one(**notice("group_upload", file=file, time=TIME + 86400))
    assert again.id != seen.id, "NapCat names a file by its content"
    private = one(**notice("offline_file", group_id=None, file={"name": "a", "size": -1}))
    assert (private.type, private.data, private.shared) == ("file.uploaded", {"kind": "file"}, False)


def test_a_poke_has_who_was_poked_as_author_in_private_too() -> None:
    seen = one(**notice("notify", sub_type="poke", target_id=B))
    assert (seen.type, seen.actor, seen.author, seen.shared) == ("poke", f"qq:{A}", f"qq:{B}", True)
    assert one(**notice("notify", sub_type="poke", target_id=A)).author is None
    private = one(**notice("notify", sub_type="poke", group_id=None, user_id=A, sender_id=BOT, target_id=A))
    assert (private.actor, private.author, private.data) == (f"qq:{BOT}", f"qq:{A}", {"bot": True})
    assert (private.group, private.shared) == (None, False)


def test_the_luckiest_takes_it_from_who_gave() -> None:
    seen = one(**notice("notify", sub_type="lucky_king", target_id=B))
    assert (seen.type, seen.actor, seen.author) == ("redpacket.lucky_king", f"qq:{B}", f"qq:{A}")


def test_an_honour_is_named() -> None:
    seen = one(**notice("notify", sub_type="honor", honor_type="talkative"))
    assert (seen.type, seen.actor, seen.data) == ("honor.changed", f"qq:{A}", {"honor": "talkative"})
