"""How a community behaves, in figures measured on four real ones; docs/demo.md says how each was taken.

Pairs named `*_LN` are mean and standard deviation of the natural logarithm (a lognormal distribution).
"""

HOURS = (28, 23, 20, 18, 18, 17, 21, 29, 39, 41, 43, 40, 46, 54, 60, 62, 62, 61, 58, 61, 58, 54, 48, 38)
"""Messages by hour of the day, per thousand."""

WEEKDAYS = (1.06, 1.17, 1.16, 1.15, 1.04, 0.73, 0.69)
"""Activity from Monday to Sunday; 1 is the mean."""

NEWCOMERS_A_MONTH = 0.34
"""People seen for the first time in a month, per member who was there before and is active in it."""

ONLY_ONE_DAY = 0.5
"""Share of newcomers who are active on their first day and never again."""

STAY_DAYS_LN = (4.5, 1.7)
"""How long the other newcomers stay."""

OLD_STAY_DAYS_LN = (5.5, 1.0)
"""How much longer those stay who were there before."""

ACTIVE_DAYS_LN = (1.4, 1.1)
"""Days with a message, out of thirty, of a member who was there before."""

NEW_ACTIVE_DAYS_LN = (0.8, 0.9)
"""The same, of a newcomer who stays."""

VOLUME_LN = (1.06, 0.6)
"""Messages of a member on an active day: the mean differs between members by this much …"""

VOLUME_BY_PRESENCE = 0.42
"""… rises by this (logarithms) for each unit of `ACTIVE_DAYS_LN` above its mean …"""

VOLUME_BY_DAY_SD = 0.78
"""… and differs by this from day to day."""

SAME_SITTING = 0.585
"""Share of messages less than ten minutes after the member's last one."""

SITTING_GAP_LN = (0.4, 1.1)
"""Minutes between messages in one sitting."""

GROUPS = {
    "general": 201,
    "beginners": 201,
    "projects": 146,
    "tools": 108,
    "reading": 95,
    "meetings": 65,
    "music": 59,
    "kitchen": 43,
}
"""Messages by group; the weights are those of the eight largest channels."""

LENGTH_LN = (4.71, 1.06)
"""Visible characters of a message."""

REPLIES, MENTIONS, LINKS = 0.053, 0.062, 0.139
"""Shares of messages."""

QUESTIONS = 0.02
"""Share of contributions that are questions: a choice between the topics resolved in a chat (0.008 of its messages) and
the questions of a Q&A site (0.12 of its posts)."""

ANSWERS = (43, 260, 201, 67, 26, 5, 9)
"""Questions by their number of answers, 0 to 6."""

ANSWER_HOURS_LN = (1.93, 2.33)
"""From question to answer."""

SELF_ANSWERS = 0.046
"""Share of accepted answers that the asker gave."""

ACCEPTED = 0.685
"""Share of answered questions in which an answer is accepted."""

ACCEPT_HOURS_LN = (3.18, 2.0)
"""From the answer to its acceptance."""

VOTES_A_QUESTION, VOTES_AN_ANSWER = 9.5, 4.6
VOTE_HOURS_LN = (3.0, 2.9)
VOTE_KINDS = {"upvote": 880, "favorite": 62, "downvote": 58}

REACTED_MESSAGES = 0.086
"""Share of messages with any reaction."""

REACTIONS = {1: 40, 2: 24, 3: 11, 4: 8, 6: 2, 7: 2, 9: 1, 11: 1}
"""Messages that have any, by the number of their reactions."""

REACTION_MINUTES_LN = (3.4, 1.5)
"""From message to reaction: the source does not say when, so this is a guess, half of them within half an hour."""

REACTION_KINDS = {"+1": 92, "clap": 19, "100": 13, "fire": 11, "sunglasses": 8, "ok_hand": 6}
SELF_REACTIONS = 0.045
SECOND_REACTIONS = 0.12
"""Share of reactions followed by another one of the same person to the same message."""

EDITED_MESSAGES, EDIT_MINUTES_LN = 0.036, (-0.9, 1.6)
EDITED_POSTS, POST_EDIT_MINUTES_LN = 0.6, (6.4, 2.8)
"""Edits of chat messages are slips of the pen; those of questions and answers come days later."""

BOTS_A_MEMBER, BOT_MESSAGES = 0.004, 0.0091
"""Bots for each person; their share of messages."""

CHECKERS = 0.3
"""Share of members who take part in daily check-ins: a choice, the measured programme has nobody else."""

CHECKIN_AFTER_STREAK = (0.174, 0.72, 0.76, 0.775, 0.76, 0.76, 0.78, 0.84, 0.845, 0.88, 0.886)
"""Chance of checking in today after a streak of 0, 1, … 10 or more days."""

CHECKIN_HOURS = (17, 4, 2, 2, 1, 3, 2, 2, 6, 13, 12, 14, 11, 8, 14, 22, 23, 32, 29, 36, 78, 138, 193, 339)
"""Check-ins by local hour, per thousand: most come in before midnight closes the day."""

CHECKIN_TWICE = 0.004
"""Share of check-in days with a second one."""

SENT_TWICE = 0.01
"""Share of events that the bot sends again, as after a broken connection: a choice."""
