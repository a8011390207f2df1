"""The dashboards about points and messages: what the product gives to people."""

from deploy.grafana.shapes import Dashboard, Panel, Query, quantile, rate, share

ECONOMY = Dashboard(
    "guildhall-economy",
    "Guildhall: points economy",
    "What rules pay and people spend, all communities together; units that a community named itself are `other`.",
    (
        Panel(
            "Given",
            "Points that members were given within an hour, by unit and kind.",
            (Query("sum by (unit, kind) (increase(guildhall_points_given_total[1h]))", "{{unit}} {{kind}}"),),
        ),
        Panel(
            "Spent and taken",
            "Points that members spent or had taken away within an hour.",
            (Query("sum by (unit, kind) (increase(guildhall_points_taken_total[1h]))", "{{unit}} {{kind}}"),),
        ),
        Panel(
            "Held by members",
            "The money supply. A steep rise without more activity: a rule that pays too much.",
            (Query("max by (unit) (guildhall_points_held)", "{{unit}}"),),
        ),
        Panel(
            "Net",
            "Given less spent and taken, within an hour.",
            (
                Query(
                    "sum by (unit) (increase(guildhall_points_given_total[1h]))"
                    " - (sum by (unit) (increase(guildhall_points_taken_total[1h]))"
                    " or 0 * sum by (unit) (increase(guildhall_points_given_total[1h])))",
                    "{{unit}}",
                ),
            ),
        ),
        Panel(
            "Decisions of rules",
            "A second, by verdict. Many `capped`: somebody farms, or a cap is too low. Any `error`: a rule is broken.",
            (Query(rate("guildhall_decisions_total", "verdict"), "{{verdict}}"),),
        ),
        Panel(
            "Badges",
            "An hour, by outcome: `granted`, and what ended: `expired`, `undone`, `by_hand`.",
            (Query("sum by (outcome) (increase(guildhall_badges_total[1h]))", "{{outcome}}"),),
        ),
        Panel(
            "Share that was paid",
            "Of all that rules were asked to pay for.",
            (
                Query(
                    'sum(rate(guildhall_decisions_total{verdict="granted"}[$__rate_interval]))'
                    " / sum(rate(guildhall_decisions_total[$__rate_interval]))",
                    "granted",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Recomputes of rules",
            "Entries they post, a second. Members are not told of them; their operator knows.",
            (Query("sum(rate(guildhall_recomputed_entries_total[$__rate_interval]))", "entries"),),
        ),
        Panel(
            "Simulations and recomputes",
            "Those that are not over. One that stays for days goes on nowhere: the log says why.",
            (Query("max by (state) (guildhall_plans_open)", "{{state}}"),),
            now=True,
        ),
        Panel(
            "Books",
            "How far balances are from adding up to zero. Anything but 0 is a bug, or a hand in the database.",
            (Query("max by (unit) (guildhall_ledger_imbalance)", "{{unit}}"),),
            now=True,
        ),
        Panel(
            "Nightly audit",
            "What it found wrong, by audit. Anything but 0 is a bug, or a hand in the database.",
            (Query("max by (audit) (guildhall_ledger_faults)", "{{audit}}"),),
            now=True,
        ),
        Panel(
            "Since the nightly audit",
            "More than a day: nobody was up at three in the morning (UTC).",
            (Query("time() - max(guildhall_ledger_audited_timestamp_seconds)", "ended"),),
            "s",
            now=True,
        ),
        Panel(
            "Sealed",
            "Transactions sealed in the ledger's chain, some seconds after they were posted.",
            (Query("sum by (when) (rate(guildhall_ledger_sealed_total[$__rate_interval]))", "{{when}}"),),
            "ops",
        ),
        Panel(
            "Boards finalised",
            "Periods that ended for good. None after a day's end and its late grace: rewards has not caught up.",
            (Query("sum(increase(guildhall_boards_finalized_total[1h]))", "an hour"),),
        ),
        Panel(
            "Members",
            "Of all communities, by state. `applied` that only rises: nobody decides on applications.",
            (Query("max by (state) (guildhall_members)", "{{state}}"),),
        ),
        Panel(
            "Coming and going",
            "Members that came into a state within a day.",
            (Query("sum by (state) (increase(guildhall_member_moves_total[1d]))", "{{state}}"),),
        ),
    ),
)

FAILED = 'guildhall_messages_total{state=~"undelivered|bounced|unknown"}'
TRIED = 'guildhall_messages_total{state=~"sent|delivered|undelivered|bounced|unknown"}'

DELIVERY = Dashboard(
    "guildhall-delivery",
    "Guildhall: delivery",
    "Who hears of it: messages by channel, what holds and what stops them.",
    (
        Panel(
            "Arrived",
            "Messages a second that were sent or delivered, by channel.",
            (
                Query(
                    rate('guildhall_messages_total{state=~"sent|delivered"}', "channel", "state"),
                    "{{channel}} {{state}}",
                ),
            ),
        ),
        Panel(
            "Did not arrive",
            "Share of what was tried, by channel. GuildhallDeliveriesFailing fires above 10 %.",
            (Query(share(FAILED, TRIED, "channel"), "{{channel}}"),),
            "percentunit",
        ),
        Panel(
            "Why not sent",
            "Messages that were stopped within an hour, by channel and reason.",
            (
                Query(
                    "sum by (channel, state, reason) (increase("
                    'guildhall_messages_total{state=~"not_sent|expired|cancelled|undelivered|bounced|unknown"}[1h]))',
                    "{{channel}} {{state}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Replies refused",
            "Replies to commands within an hour that the platform's reply window did not allow.",
            (
                Query(
                    "sum by (channel, reason) (increase(guildhall_replies_refused_total[1h]))",
                    "{{channel}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Put off by providers",
            "Calls answered with 429 within an hour: the bot waits as long as it was told.",
            (Query("sum by (channel) (increase(guildhall_provider_busy_total[1h]))", "{{channel}}"),),
        ),
        Panel(
            "Held for later",
            "Messages that were put off within an hour, by reason.",
            (
                Query(
                    'sum by (channel, reason) (increase(guildhall_messages_total{state="held"}[1h]))',
                    "{{channel}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Behind",
            "Records that notify has yet to read: so much later people hear of it.",
            (Query('max by (topic) (guildhall_consumer_lag_records{service="notify"})', "{{topic}}"),),
        ),
        Panel(
            "Time of a batch",
            "Half, and ninety-nine in a hundred, of the transactions that make messages.",
            tuple(
                Query(
                    quantile(q, 'guildhall_consumer_batch_duration_seconds_bucket{service="notify"}'), f"p{q * 100:g}"
                )
                for q in (0.5, 0.99)
            ),
            "s",
        ),
    ),
)
