"""Kafka: within reach, its topics as they must be, and how far the readers are."""

from kit.consumer import group_name
from kit.log import LogUnavailable
from kit.log.kafka import KafkaLog
from kit.log.kafka.topics import CLEANUP, PARTITIONS, Difference
from kit.runtime import consumed_topics, topics
from kit.service import Service
from kit.settings import Settings
from services.commands.doctor.files import behindness
from services.commands.doctor.findings import Finding, failed, ok, warning

REPAIR = "`guildhall topics repair` mends it"


async def look(log: KafkaLog, settings: Settings, services: tuple[Service, ...]) -> list[Finding]:
    """Nothing is made on the broker. (Its clock cannot be had: the protocol does not tell it.)"""
    wanted = topics(settings)
    try:
        found = await log.look(wanted)
        reached = ok("kafka", f"{await log.brokers()} brokers at {settings.kafka}")
    except LogUnavailable as error:
        do = "is it running, is GUILDHALL_KAFKA right, and GUILDHALL_KAFKA_TLS and _SASL as the broker demands?"
        return [failed("kafka", str(error), do)]
    missing = [topic.name for topic in wanted if found[topic.name].partitions == 0]
    differences = [d for d in log.topics.differences(wanted, found) if not _is_missing(d)]
    out = [reached, *(_told(difference) for difference in differences)]
    if missing:
        do = (
            "the first service that starts makes them; if there were services already: is GUILDHALL_KAFKA_PREFIX right?"
        )
        return [*out, warning("topics", f"not there: {', '.join(log.name(name) for name in missing)}", do)]
    if not differences:
        out.append(ok("topics", f"{len(wanted)} topics are as they must be"))
    behind = {}
    for service in services:
        for topic in consumed_topics(service):
            group = group_name(service.name, topic)
            behind[group] = sum((await log.lag(group, [topic])).values())
    return [*out, behindness(behind, settings.ready_max_lag)]


def _is_missing(difference: Difference) -> bool:
    return difference.what == PARTITIONS and difference.present.startswith("0 ")


def _told(difference: Difference) -> Finding:
    do = difference.advice or REPAIR
    if difference.what == CLEANUP:
        return failed("topics", str(difference), f"no service starts like this: {REPAIR}")
    said = f"{difference.topic}: {difference.what} is {difference.present or 'not set'}, not {difference.wanted}"
    return warning("topics", said, do)
