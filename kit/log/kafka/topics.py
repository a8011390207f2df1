"""Topics on the broker: made, looked at, compared with what they must be, and mended.

What decides over data is refused at the start (`cleanup.policy`: a state topic that forgets, an activity topic that
keeps one record a key). Everything else that differs is said there and mended by command, because two processes
with different settings would otherwise change it back and forth.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from kit.log import LogUnavailable, Topic
from kit.log.kafka.bounds import CALL_SECONDS
from kit.log.kafka.incremental import SetTopicConfigs

T = TypeVar("T")

CLEANUP, RETENTION, IN_SYNC = "cleanup.policy", "retention.ms", "min.insync.replicas"
PARTITIONS, REPLICATION = "partitions", "replication"
TOLD_SECONDS = 0.05


class Ask(Protocol):
    """Asks again what may be asked again, within bounds; LogUnavailable otherwise."""

    async def __call__(self, make: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Something about an existing topic that is not as described. `advice` says why repairing leaves it, if it does."""

    topic: str
    what: str
    present: str
    wanted: str
    advice: str = ""

    def __str__(self) -> str:
        said = f"{self.topic}: {self.what} is {self.present or 'not set'}, it should be {self.wanted}"
        return f"{said} ({self.advice})" if self.advice else said


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it. No partitions: it is not there."""

    partitions: int
    replication: int
    configs: dict[str, str]


def in_sync(replication: int) -> int:
    """How many replicas must have a record before it is acknowledged: two where one of them may be away."""
    return 2 if replication >= 3 else 1


def policy(topic: Topic) -> str:
    return "compact" if topic.compacted else "delete"


def configs(topic: Topic, replication: int) -> dict[str, str]:
    """What a topic is configured with; what is not named is the broker's choice."""
    wanted = {CLEANUP: policy(topic), IN_SYNC: str(in_sync(replication))}
    if not topic.compacted:
        keep = -1 if topic.retention is None else topic.retention // timedelta(milliseconds=1)
        wanted[RETENTION] = str(keep)
    return wanted


class Topics:
    """Names go through `name`, which puts the installation's prefix before them."""

    def __init__(self, ask: Ask, name: Callable[[str], str], partitions: int, replication: int) -> None:
        self._ask = ask
        self._name = name
        self._partitions = partitions
        self._replication = replication

    async def create(self, topics: Sequence[Topic]) -> None:
        """Create what is missing, and wait until every broker tells of it."""
        new = [
            NewTopic(
                self._name(t.name), self._partitions, self._replication, topic_configs=configs(t, self._replication)
            )
            for t in topics
        ]
        answer = await self._ask(lambda admin: admin.create_topics(new, timeout_ms=int(CALL_SECONDS * 1000)))
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise LogUnavailable(f"the topic {name} could not be created: {error.__name__} {message}")
        for _ in range(50):
            described = await self._describe(topics)
            led = [p["leader"] >= 0 for d in described.values() for p in d["partitions"]]
            if all(d["partitions"] for d in described.values()) and all(led):
                return
            await asyncio.sleep(0.1)

    async def _describe(self, topics: Sequence[Topic]) -> dict[str, Any]:
        described = await self._ask(lambda admin: admin.describe_topics([self._name(t.name) for t in topics]))
        by_name = {d["topic"]: d for d in described}
        return {t.name: by_name[self._name(t.name)] for t in topics}

    async def find(self, topics: Sequence[Topic]) -> dict[str, Found]:
        """The topics as they are, by name without the prefix."""
        described = await self._describe(topics)
        there = [t for t in topics if described[t.name]["partitions"]]
        configured = await self._configs(there)
        out = {}
        for topic in topics:
            parts = described[topic.name]["partitions"]
            replicas = min((len(p["replicas"]) for p in parts), default=0)
            out[topic.name] = Found(len(parts), replicas, configured.get(topic.name, {}))
        return out

    async def _configs(self, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
        if not topics:
            return {}
        names = {self._name(t.name): t.name for t in topics}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        out: dict[str, dict[str, str]] = {}

        async def ask(admin: AIOKafkaAdminClient) -> Any:
            responses = await admin.describe_configs(resources)
            for code in (resource[0] for response in responses for resource in response.resources):
                # One of several brokers may not know yet what another has just made.
                if code and for_code(code).retriable:
                    raise for_code(code)
            return responses

        for response in await self._ask(ask):
            for code, message, _, name, entries in response.resources:
                if code:
                    raise LogUnavailable(f"the settings of {name} cannot be read: {for_code(code).__name__} {message}")
                out[names[name]] = {e[0]: e[1] for e in entries}
        return out

    def differences(self, topics: Sequence[Topic], found: dict[str, Found]) -> list[Difference]:
        """What is not as described, topic by topic."""
        return [d for t in topics for d in self._differences(t, found[t.name])]

    def _differences(self, topic: Topic, found: Found) -> list[Difference]:
        name = self._name(topic.name)
        if found.partitions == 0:
            return [Difference(name, PARTITIONS, "0 (there is no such topic)", str(self._partitions))]
        out = [
            Difference(name, what, found.configs.get(what, ""), wanted)
            for what, wanted in configs(topic, found.replication).items()
            if not _fits(what, found.configs.get(what, ""), wanted)
        ]
        if found.partitions != self._partitions:
            advice = _growing(topic, found.partitions, self._partitions)
            out.append(Difference(name, PARTITIONS, str(found.partitions), str(self._partitions), advice))
        if found.replication != self._replication:
            advice = "move the replicas with kafka-reassign-partitions, or change GUILDHALL_KAFKA_REPLICATION"
            out.append(Difference(name, REPLICATION, str(found.replication), str(self._replication), advice))
        return out

    async def repair(self, topics: Sequence[Topic], *, grow: bool) -> list[Difference]:
        """Mend what can be mended, create what is missing; what is returned was mended, and the broker tells it so.

        Partitions are added only with `grow`, and never to a compacted topic. LogUnavailable when the broker refuses,
        or does not tell what it took within `CALL_SECONDS`.
        """
        mended = []
        for topic in topics:
            found = (await self.find([topic]))[topic.name]
            differences = self._differences(topic, found)
            if found.partitions == 0:
                await self.create([topic])
                mended += differences
                continue
            settings = [d for d in differences if not d.advice]
            if settings:
                await self._set(topic, {d.what: d.wanted for d in settings})
                mended += settings
            if grow and not topic.compacted and found.partitions < self._partitions:
                more = {self._name(topic.name): NewPartitions(self._partitions)}
                await self._ask(lambda admin, more=more: admin.create_partitions(more))  # type: ignore[misc]  # bound now
                mended += [d for d in differences if d.what == PARTITIONS]
        await self._until_told(topics, mended)
        return mended

    async def _until_told(self, topics: Sequence[Topic], mended: Sequence[Difference]) -> None:
        """The controller takes a change before the brokers hear of it: whoever looked at once would see the old one."""
        gone = {(d.topic, d.what) for d in mended}
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        while gone:
            left = self.differences(topics, await self.find(topics))
            late = [d for d in left if (d.topic, d.what) in gone]
            if not late:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise LogUnavailable(f"taken by the broker, but not told within {CALL_SECONDS:g} s: {late[0]}")
            await asyncio.sleep(TOLD_SECONDS)

    async def _set(self, topic: Topic, values: dict[str, str]) -> None:
        request = SetTopicConfigs(self._name(topic.name), values)
        answer = await self._ask(lambda admin: admin._send_request(request))
        for code, message, _, name in answer.resources:
            if code:
                raise LogUnavailable(f"the settings of {name} were not taken: {for_code(code).__name__} {message}")


def _fits(what: str, present: str, wanted: str) -> bool:
    if what == IN_SYNC and present.isdigit():
        # Somebody who asks for more than we do has a reason.
        return int(present) >= int(wanted)
    return set(present.split(",")) == set(wanted.split(","))


def _growing(topic: Topic, present: int, wanted: int) -> str:
    if wanted < present:
        return "Kafka takes no partitions away; set GUILDHALL_KAFKA_PARTITIONS to what is there"
    if topic.compacted:
        return "never done: the old state of a key would stay for ever in the partition it had before"
    return (
        "only with --grow-partitions: keys move to other partitions, and what is written after would overtake what "
        "is not read yet; stop every service, let the lag come to 0, grow, start"
    )
