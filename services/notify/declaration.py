"""What the other processes know of the notify service."""

from kit.contracts.notify import CallWanted, MessageDue, MessageStateChanged
from kit.declaration import Declaration

DECLARATION = Declaration(
    name="notify",
    publishes=(MessageStateChanged, MessageDue, CallWanted),
    prefixes=(
        "messages", "inbox", "announcements", "reminders", "digests", "campaigns", "templates", "preferences",
        "channels", "webhooks", "suppressions", "preview",
    ),
)  # fmt: skip
