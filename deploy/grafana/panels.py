"""What the dashboards show: titles, what to see in them, the queries. `deploy.grafana.make` turns them into JSON."""

from deploy.grafana.people import DELIVERY, ECONOMY
from deploy.grafana.shapes import Dashboard, Panel, Query, quantile, rate, share

INGEST = 'guildhall_http_request_duration_seconds_bucket{method="POST",route="/v1/events"}'

TRAFFIC = Dashboard(
    "guildhall-traffic",
    "Guildhall: traffic",
    "Who asks for what, how long it takes, what is refused.",
    (
        Panel(
            "Requests",
            "Answered requests a second, by process.",
            (Query(rate("guildhall_http_requests_total", "process"), "{{process}}"),),
            "reqps",
        ),
        Panel(
            "Failures",
            "Share of requests answered with a 5xx. GuildhallServerErrors fires above 1 %.",
            (
                Query(
                    share('guildhall_http_requests_total{status=~"5.."}', "guildhall_http_requests_total", "process"),
                    "{{process}}",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Answers by status",
            "4xx: a client does something wrong. 499: callers hang up. 503: an engine is away.",
            (Query(rate("guildhall_http_requests_total", "status"), "{{status}}"),),
            "reqps",
        ),
        Panel(
            "Time to answer",
            "Half, and ninety-nine in a hundred, are answered within; event streams left out.",
            tuple(
                Query(
                    quantile(q, 'guildhall_http_request_duration_seconds_bucket{route!~".*/stream"}', "process"),
                    f"p{q * 100:g} {{{{process}}}}",
                )
                for q in (0.5, 0.99)
            ),
            "s",
        ),
        Panel(
            "Slowest routes",
            "The ten with the highest p99.",
            (
                Query(
                    f"topk(10, {quantile(0.99, 'guildhall_http_request_duration_seconds_bucket', 'method', 'route')})",
                    "{{method}} {{route}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Busiest routes",
            "The ten that are asked most.",
            (Query(f"topk(10, {rate('guildhall_http_requests_total', 'method', 'route')})", "{{method}} {{route}}"),),
            "reqps",
        ),
        Panel(
            "Activity taken in",
            "Events a second, durable on the log when answered. None by day: a bot has stopped.",
            (
                Query("sum(rate(guildhall_events_ingested_total[$__rate_interval]))", "events"),
                Query("sum(rate(guildhall_replayed_events_total[$__rate_interval]))", "sent once more by replays"),
            ),
        ),
        Panel(
            "Time to take activity in",
            "Its time is the log's: an fsync, or the broker's replicas. GuildhallIngestSlow fires above 0.5 s.",
            tuple(Query(quantile(q, INGEST), f"p{q * 100:g}") for q in (0.5, 0.99)),
            "s",
        ),
        Panel(
            "Activity refused",
            "By code; one that begins to rise is a sender that changed.",
            (Query(rate("guildhall_events_rejected_total", "code"), "{{code}}"),),
        ),
        Panel(
            "Schemas and texts",
            "Data that does not fit, warned of; texts kept, or not for want of a key; requests whose community's "
            "wishes could not be looked up in time.",
            (
                Query("sum(rate(guildhall_events_warned_total[$__rate_interval]))", "warned"),
                Query(rate("guildhall_texts_total", "outcome"), "text {{outcome}}"),
                Query("sum(rate(guildhall_door_unsure_total[$__rate_interval]))", "unsure"),
            ),
        ),
        Panel(
            "Chat platforms",
            "Deliveries by what came of them; connections that are down, and how often one has a gap.",
            (
                Query(rate("guildhall_deliveries_total", "platform", "outcome"), "{{platform}} {{outcome}}"),
                Query("max by (platform) (guildhall_connections_down)", "{{platform}} down"),
                Query("sum(guildhall_bot_sockets)", "bots with a WebSocket"),
                Query(rate("guildhall_bot_calls_total", "outcome"), "said through bots: {{outcome}}"),
                Query(rate("guildhall_gaps_total", "platform"), "{{platform}} gaps"),
            ),
        ),
        Panel(
            "Tokens and link codes",
            "`refused` and `throttled` without `linked`: somebody is guessing codes.",
            (
                Query("sum(rate(guildhall_tokens_issued_total[$__rate_interval]))", "tokens"),
                Query(rate("guildhall_link_codes_total", "outcome"), "code {{outcome}}"),
            ),
        ),
        Panel(
            "Processor",
            "Cores used by each process; one is the most a process can use.",
            (Query(rate("process_cpu_seconds_total", "process", "instance"), "{{process}} {{instance}}"),),
        ),
        Panel(
            "Memory",
            "Resident, by process.",
            (
                Query(
                    'max by (process, instance) (process_resident_memory_bytes{job="guildhall"})',
                    "{{process}} {{instance}}",
                ),
            ),
            "bytes",
        ),
    ),
)

PIPELINE = Dashboard(
    "guildhall-pipeline",
    "Guildhall: pipeline",
    "From the outboxes over the log into the services: what waits, what was given up, whether the gauges are fresh.",
    (
        Panel(
            "Alerts",
            "Those that fire; docs/alerts.md says what to do.",
            (Query('sum by (alertname, severity) (ALERTS{alertstate="firing"})', "{{severity}} {{alertname}}"),),
            now=True,
        ),
        Panel(
            "Checks of /readyz that fail",
            "None is good.",
            (Query("min by (process, check) (guildhall_ready_check) == 0", "{{process}} {{check}}"),),
            now=True,
        ),
        Panel(
            "Lag",
            "Records a consumer has yet to read. Short: a burst. Lasting: too slow, or stopped.",
            (Query("max by (service, topic) (guildhall_consumer_lag_records)", "{{service}} {{topic}}"),),
        ),
        Panel(
            "Handled",
            "Records a second, repeats included.",
            (Query(rate("guildhall_consumed_records_total", "service", "topic"), "{{service}} {{topic}}"),),
        ),
        Panel(
            "Time of a batch",
            "Ninety-nine in a hundred transactions of a consumer take no longer.",
            (
                Query(
                    quantile(0.99, "guildhall_consumer_batch_duration_seconds_bucket", "service", "topic"),
                    "{{service}} {{topic}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Batches tried again, consumers stopped",
            "Again: trouble that passes. Stopped: at 1 somebody has to look.",
            (
                Query(rate("guildhall_consumer_retries_total", "service", "topic"), "again {{service}} {{topic}}"),
                Query("max by (service, topic) (guildhall_consumer_stopped) > 0", "stopped {{service}} {{topic}}"),
            ),
        ),
        Panel(
            "Oldest event in an outbox",
            "Others learn of it that much later. GuildhallOutboxOld fires above a minute.",
            (Query("max by (service) (guildhall_outbox_oldest_age_seconds)", "{{service}}"),),
            "s",
        ),
        Panel(
            "Outboxes",
            "Events that should have left by now, and how many leave a second.",
            (
                Query("max by (service) (guildhall_outbox_rows)", "waiting {{service}}"),
                Query(rate("guildhall_outbox_sent_total", "service"), "leaving {{service}}"),
            ),
        ),
        Panel(
            "Spool",
            "Taken while the log was away. GuildhallSpoolInUse fires above 0, GuildhallSpoolFilling above 70 %.",
            (
                Query("sum(guildhall_spool_records)", "waiting"),
                Query("max(guildhall_spool_bytes / clamp_min(guildhall_spool_limit_bytes, 1)) * 100", "fullest, %"),
                Query("sum(rate(guildhall_spooled_records_total[5m]))", "taken a second"),
                Query("sum(rate(guildhall_spool_refused_records_total[5m]))", "refused a second"),
            ),
        ),
        Panel(
            "Dead letters",
            "Those that wait for somebody, and those written within an hour.",
            (
                Query("max by (service) (guildhall_dead_letters)", "waiting {{service}}"),
                Query("sum by (service) (increase(guildhall_dead_letters_written_total[1h]))", "new {{service}}"),
            ),
        ),
        Panel(
            "Appends that failed",
            "What the log did not make durable, a second.",
            (Query(rate("guildhall_log_append_failures_total", "service"), "{{service}}"),),
        ),
        Panel(
            "Age of the gauges",
            "How old what stands here is; a few seconds is right.",
            (
                Query(
                    "max by (process, source) (time() - guildhall_gauges_refreshed_timestamp_seconds)",
                    "{{process}} {{source}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Disk left",
            "Under the files of each process. GuildhallDiskFilling fires below 10 %.",
            (
                Query(
                    "min by (process, instance) (guildhall_disk_free_bytes / guildhall_disk_size_bytes)",
                    "{{process}} {{instance}}",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Forgotten",
            "Rows whose time was over, deleted within a day. None for days while tables grow: look for `loop.failed`.",
            (Query("sum by (service, table) (increase(guildhall_purged_rows_total[1d]))", "{{service}} {{table}}"),),
        ),
    ),
)

DASHBOARDS = (TRAFFIC, PIPELINE, ECONOMY, DELIVERY)
