"""Every metric of the platform, one line each saying what it means (docs/metrics.md repeats them for operators).

Labels are bounded: services, topics, routes, codes, the units every community has; never members, communities or
event ids, nor what a community made up.
"""

from prometheus_client import Counter, Gauge, Histogram

OUTBOX_ROWS = Gauge("guildhall_outbox_rows", "Events that should have left for the log by now.", ["service"])
OUTBOX_OLDEST_SECONDS = Gauge("guildhall_outbox_oldest_age_seconds", "Age of the oldest of them.", ["service"])
OUTBOX_SENT = Counter("guildhall_outbox_sent_total", "Events carried from the outbox to the log.", ["service"])
CONSUMED = Counter("guildhall_consumed_records_total", "Log records handled, repeats included.", ["service", "topic"])
CONSUMER_BATCH_SECONDS = Histogram(
    "guildhall_consumer_batch_duration_seconds", "One batch's transaction.", ["service", "topic"]
)
CONSUMER_LAG = Gauge(
    "guildhall_consumer_lag_records", "Records a consumer group has yet to read.", ["service", "topic"]
)
CONSUMER_RETRIES = Counter(
    "guildhall_consumer_retries_total", "Batches tried again after trouble.", ["service", "topic"]
)
CONSUMER_STOPPED = Gauge("guildhall_consumer_stopped", "1 when dead letters in a row stopped it.", ["service", "topic"])
DEAD_LETTERS = Gauge("guildhall_dead_letters", "Dead letters that wait for somebody.", ["service"])
DEAD_LETTERS_WRITTEN = Counter("guildhall_dead_letters_written_total", "Dead letters ever written.", ["service"])
PURGED = Counter("guildhall_purged_rows_total", "Rows deleted because their time was over.", ["service", "table"])
SPOOL_RECORDS = Gauge("guildhall_spool_records", "Records taken while the log was away, not yet in it.")
SPOOL_BYTES = Gauge("guildhall_spool_bytes", "Their keys and values.")
SPOOL_LIMIT_BYTES = Gauge("guildhall_spool_limit_bytes", "How much of that is taken at most.")
SPOOLED = Counter("guildhall_spooled_records_total", "Records taken while the log was away.")
SPOOL_REFUSED = Counter("guildhall_spool_refused_records_total", "Records the spool did not take, full or broken.")
LOG_APPEND_FAILURES = Counter(
    "guildhall_log_append_failures_total", "Appends that the log did not make durable.", ["service"]
)
READY = Gauge("guildhall_ready_check", "1 when this check of /readyz passes, 0 when it does not.", ["check"])
GAUGES_REFRESHED = Gauge(
    "guildhall_gauges_refreshed_timestamp_seconds", "When all gauges about it were last looked up.", ["source"]
)
DISK_FREE = Gauge("guildhall_disk_free_bytes", "Space left where this process keeps its files.")
DISK_SIZE = Gauge("guildhall_disk_size_bytes", "Size of the file system they are on.")
HTTP_REQUESTS = Counter("guildhall_http_requests_total", "Requests answered.", ["method", "route", "status"])
HTTP_REQUEST_SECONDS = Histogram("guildhall_http_request_duration_seconds", "Time to answer.", ["method", "route"])
MEMBERS = Gauge("guildhall_members", "Members of all communities, by state.", ["state"])
MEMBER_MOVES = Counter("guildhall_member_moves_total", "Members that came into a state.", ["state"])
LINK_CODES = Counter("guildhall_link_codes_total", "Link codes said in a chat, by outcome.", ["outcome"])
TOKENS_ISSUED = Counter("guildhall_tokens_issued_total", "Member tokens handed out.")
EVENTS_INGESTED = Counter("guildhall_events_ingested_total", "Events accepted at the door.")
EVENTS_REJECTED = Counter("guildhall_events_rejected_total", "Events refused at the door, by code.", ["code"])
REPLAYED = Counter("guildhall_replayed_events_total", "Stored events sent once more by replays.")
EVENTS_WARNED = Counter("guildhall_events_warned_total", "Events accepted that do not fit their type's schema.")
DOOR_UNSURE = Counter(
    "guildhall_door_unsure_total", "Requests taken without knowing what their community asks of the door."
)
TEXTS = Counter("guildhall_texts_total", "Texts that a community wants to keep, by what became of them.", ["outcome"])
DELIVERIES = Counter(
    "guildhall_deliveries_total", "Deliveries of chat platforms, by what came of them.", ["platform", "outcome"]
)
CONNECTIONS_DOWN = Gauge("guildhall_connections_down", "Connections whose heartbeat is missed.", ["platform"])
SOCKETS = Gauge("guildhall_bot_sockets", "Bots that stand at this process with a WebSocket.")
CALLS = Counter("guildhall_bot_calls_total", "What was to be said through bots, by what came of it.", ["outcome"])
GAPS = Counter(
    "guildhall_gaps_total",
    "Times a connection fell silent, and ranges of its platform's numbers that did not come.",
    ["platform"],
)
LEDGER_IMBALANCE = Gauge(
    "guildhall_ledger_imbalance", "How far balances are from adding up to 0; any is a bug.", ["unit"]
)
LEDGER_FAULTS = Gauge("guildhall_ledger_faults", "What the nightly audit found wrong; any is a bug.", ["audit"])
LEDGER_AUDITED = Gauge(
    "guildhall_ledger_audited_timestamp_seconds", "When this process ended a nightly audit; 0: it did none."
)
LEDGER_SEALED = Counter("guildhall_ledger_sealed_total", "Transactions sealed in the ledger's chain.", ["when"])
ERASURE_OLDEST_SECONDS = Gauge(
    "guildhall_erasure_oldest_seconds", "For how long the erasure of a member waits that waits for longest; 0: none."
)
BOARDS_FINALIZED = Counter("guildhall_boards_finalized_total", "Periods of boards that this process finalised.")
POINTS_HELD = Gauge("guildhall_points_held", "What members have, all communities together.", ["unit"])
POINTS_GIVEN = Counter("guildhall_points_given_total", "What members were given, by why.", ["unit", "kind"])
POINTS_TAKEN = Counter("guildhall_points_taken_total", "What members spent or had taken away.", ["unit", "kind"])
BADGES = Counter("guildhall_badges_total", "Badges granted, and grants that ended, by why.", ["outcome"])
BUDGETS_REACHED = Counter(
    "guildhall_budgets_reached_total", "Budgets that came to this many per cent of their limit.", ["percent"]
)
DECISIONS = Counter("guildhall_decisions_total", "What rules decided on activity.", ["verdict"])
RECOMPUTED_ENTRIES = Counter("guildhall_recomputed_entries_total", "Entries that recomputes of rules posted.")
PLANS_OPEN = Gauge("guildhall_plans_open", "Simulations and recomputes that are not over.", ["state"])
REPLIES_REFUSED = Counter(
    "guildhall_replies_refused_total",
    "Replies in a chat that its platform's reply window did not allow.",
    ["channel", "reason"],
)
PROVIDER_BUSY = Counter("guildhall_provider_busy_total", "Calls that a provider put off (429).", ["channel"])
MESSAGES = Counter(
    "guildhall_messages_total", "Messages that came into a state, and why.", ["channel", "state", "reason"]
)
