"""The data directory: its space, and the log or the spool in it."""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from kit.consumer import group_name
from kit.log import LogUnavailable, Partition
from kit.log.embedded.reading import LogFile
from kit.log.spool import GROUP
from kit.runtime import consumed_topics, topics
from kit.service import Service
from kit.settings import Settings
from services.commands.doctor.clocks import compared
from services.commands.doctor.findings import Finding, failed, ok, warning

MIB = 1024 * 1024
FAILED_BYTES, WARNING_BYTES = 256 * MIB, 1024 * MIB


def disk(directory: Path) -> Finding:
    """Called on a thread."""
    name = "disk"
    while not directory.exists():
        # Where the first start will make it.
        directory = directory.absolute().parent
    if not os.access(directory, os.W_OK | os.X_OK):
        return failed(name, f"{directory} cannot be written by this user", "run as the user that owns it, or chown it")
    free = shutil.disk_usage(directory).free
    found = f"{free // MIB} MiB free in {directory}"
    do = "make room, or move the directory; when the disk is full nothing is accepted any more"
    if free < FAILED_BYTES:
        return failed(name, f"{found}, less than {FAILED_BYTES // MIB}", do)
    return warning(name, f"{found}, less than {WARNING_BYTES // MIB}", do) if free < WARNING_BYTES else ok(name, found)


def installed(directory: Path, services: tuple[Service, ...]) -> Finding:
    """Whether all files are there, or none. Called on a thread."""
    name = "files"
    wanted = [f"{service.name}.sqlite" for service in services] + ["log.sqlite"]
    missing = [file for file in wanted if not (directory / file).exists()]
    if len(missing) == len(wanted):
        return failed(
            name, f"there is no installation in {directory}", "`guildhall up` makes one, or set GUILDHALL_DATA_DIR"
        )
    if missing:
        do = "restore all files of one backup together: what a service knows would not fit what is on the log"
        return failed(name, f"{', '.join(missing)} missing in {directory}", do)
    return ok(name, f"{len(wanted)} files in {directory}")


def log(settings: Settings, services: tuple[Service, ...], now: datetime) -> list[Finding]:
    """The log's file, its clock and how far its readers are. Called on a thread."""
    path = settings.data_dir / "log.sqlite"
    restore = "stop the installation, keep a copy of the directory, restore the last backup"
    try:
        with LogFile(path) as file:
            torn = file.torn()
            if torn:
                return [failed("log", "; ".join(torn), restore)]
            wanted = {topic.name: topic for topic in topics(settings)}
            out = [ok("log", f"{len(file.topics)} topics, every last batch is whole")]
            for name in sorted(wanted.keys() & file.topics.keys()):
                if file.topics[name].topic.compacted != wanted[name].compacted:
                    out = [failed("log", f"{name} is not kept as it must be", restore)]
            newest = file.newest()
            if newest is not None and newest > now:
                out.append(compared("the log's last batch", newest - now))
            return out + lags(file, settings, services)
    except LogUnavailable as error:
        return [failed("log", str(error), restore)]


def spool(path: Path) -> Finding:
    """What waits for Kafka in the file of an events service. Called on a thread."""
    name = "spool"
    if not path.exists():
        return ok(name, f"nothing was ever put into {path}")
    do = "keep a copy of the file: activities that were accepted may be in it; then restore it, or move it away"
    try:
        with LogFile(path) as file:
            torn = file.torn()
            if torn:
                return failed(name, "; ".join(torn), do)
            read = file.positions().get(GROUP, {})
            waiting = sum(
                end - read.get(Partition(topic, number), 0)
                for topic, found in file.topics.items()
                for number, end in enumerate(found.ends)
            )
    except LogUnavailable as error:
        return failed(name, str(error), do)
    if waiting:
        do = "they leave once Kafka is there and an events service runs on this data directory"
        return warning(name, f"{waiting} accepted activities wait for Kafka in {path}", do)
    return ok(name, f"nothing waits in {path}")


def lags(file: LogFile, settings: Settings, services: tuple[Service, ...]) -> list[Finding]:
    positions = file.positions()
    behind: dict[str, int] = {}
    beyond: list[str] = []
    for service in services:
        for topic in consumed_topics(service):
            group = group_name(service.name, topic)
            for number, end in enumerate(file.topics[topic].ends if topic in file.topics else ()):
                at = positions.get(group, {}).get(Partition(topic, number), 0)
                behind[group] = behind.get(group, 0) + max(0, end - at)
                if at > end:
                    beyond.append(f"{group} has read up to {at}, the log ends at {end}")
    if beyond:
        do = "the log is older than its readers: restore all files of one backup together"
        return [failed("consumers", "; ".join(beyond), do)]
    return [behindness(behind, settings.ready_max_lag)]


def behindness(behind: dict[str, int], most: int) -> Finding:
    """One line about all consumer groups."""
    late = {group: lag for group, lag in behind.items() if lag > most}
    if late:
        told = ", ".join(f"{group} by {lag}" for group, lag in sorted(late.items()))
        do = "look at /readyz and at `consumer.` in the service's log lines: is it stopped, or too slow?"
        return warning("consumers", f"behind more than {most} records: {told}", do)
    worst = max(behind.values(), default=0)
    return ok("consumers", f"{len(behind)} groups, at most {worst} records behind")


def ages(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
