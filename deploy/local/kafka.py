"""A real Apache Kafka broker in a directory, for tests and `make up-split`: started on free ports of 127.0.0.1.

Kafka is a few jars: Maven brings them into the user's cache once, Java runs them. Nothing else is installed.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.certificates import Certificates, make_certificates

VERSION = "4.4.0"
START_SECONDS = 60.0
CLUSTER = "Z3VpbGRoYWxsLWxvY2FsIQ"
BROKER_USER = "broker"

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>guildhall</groupId><artifactId>kafka-jars</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{version}</version></dependency></dependencies></project>
"""

LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c %m%n
"""


class KafkaMissing(Exception):
    """No broker can be had here; the message says what is missing."""


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "guildhall" / f"kafka-{VERSION}"


def jars() -> Path:
    """The folder of jars, brought by Maven the first time. KafkaMissing without Java or Maven."""
    for program, package in (("java", "a Java runtime 17 or newer"), ("mvn", "Maven")):
        if shutil.which(program) is None:
            raise KafkaMissing(f"{program} is not installed: {package} is needed to run a Kafka broker")
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    # Two test workers must not fill the folder at once.
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "complete").exists():
            (cache / "pom.xml").write_text(POM.format(version=VERSION))
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={cache / 'libs'}"]
            done = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise KafkaMissing(f"Maven could not bring Kafka {VERSION}: {(done.stdout + done.stderr)[-500:]}")
            (cache / "complete").touch()
    return cache / "libs"


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass(frozen=True)
class Demands:
    """What a broker demands of whoever connects: TLS, and to be signed in as one of `users` (name → password), with
    the mechanism given."""

    users: dict[str, str] = field(repr=False)
    mechanism: str = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Seat:
    """A broker's place among those that make a cluster: its number from 1 on, and where everybody's controllers are."""

    number: int
    controllers: tuple[int, ...]

    @property
    def voters(self) -> str:
        return ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(self.controllers, 1))

    @property
    def copies(self) -> int:
        """How many brokers keep what the brokers themselves keep in topics."""
        return min(3, len(self.controllers))


class KafkaBroker:
    """One broker that is a controller as well, its own unless it has a `seat` among others. Killed and started again
    it has what it acknowledged.

    With `demands` nobody gets in otherwise; `ca` is then the file of the authority that signed its certificate.
    Clients find it at `host`, in the network that `within` (a command that runs another one) runs it in.
    One that is not `lasting` starts with less than half the processor time and is slower at what it does often, which
    suits whoever starts it for a minute; what is measured, or stays, runs on a lasting one. The first of them that is
    stopped in order leaves its classes, read and checked, beside the jars for all that follow.
    """

    def __init__(
        self,
        directory: Path,
        *,
        demands: Demands | None = None,
        seat: Seat | None = None,
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
        lasting: bool = False,
    ) -> None:
        self.directory = directory
        self.demands = demands
        self.port, controller = free_ports(2)
        self._seat = seat or Seat(1, (controller,))
        self._host = host
        self._within = tuple(within)
        self._lasting = lasting
        self._process: subprocess.Popen[bytes] | None = None
        self._leaves_classes: Path | None = None

    @property
    def bootstrap(self) -> str:
        return f"{self._host}:{self.port}"

    @property
    def ca(self) -> Path:
        return self.directory / "certificates" / "ca.pem"

    def start(self) -> None:
        """Format on the first start, and wait until it takes connections."""
        libs = jars()
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "server.properties"
        java = ["java", "-Xms384m", "-Xmx384m", "-cp", f"{libs}/*", f"-Dlog4j2.configurationFile={self._log4j()}"]
        brief = [*java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        classes = _cache() / "classes.jsa"
        if classes.exists():
            brief.append(f"-XX:SharedArchiveFile={classes}")
        if not config.exists():
            lines = self._properties()
            if self.demands is not None:
                lines |= self._demanding(self.demands, make_certificates(self.ca.parent))
            config.touch(mode=0o600)
            config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
            command = [*brief, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(config), *self._users()]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                raise RuntimeError(f"Kafka could not format: {(done.stdout + done.stderr)[-1000:]}")
        with (self.directory / "broker.log").open("ab") as out:
            if not self._lasting and not classes.exists():
                self._leaves_classes = classes.with_name(f"classes-{os.getpid()}-{self.port}.jsa")
                brief.append(f"-XX:ArchiveClassesAtExit={self._leaves_classes}")
            command = [*self._within, *(java if self._lasting else brief), "kafka.Kafka", str(config)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        self._wait()

    def _log4j(self) -> Path:
        path = self.directory / "log4j2.properties"
        path.write_text(LOG4J)
        return path

    def _users(self) -> list[str]:
        """Arguments that make the users: a broker that demands them cannot be asked to make the first."""
        if self.demands is None:
            return []
        everyone = {**self.demands.users, BROKER_USER: BROKER_USER}
        given = [f"{self.demands.mechanism}=[name={name},password={secret}]" for name, secret in everyone.items()]
        return [argument for one in given for argument in ("--add-scram", one)]

    def _demanding(self, demands: Demands, made: Certificates) -> dict[str, str]:
        """Properties that take the place of the open listener."""
        mechanism, login = demands.mechanism, f"listener.name.sasl_ssl.{demands.mechanism.lower()}.sasl.jaas.config"
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        return {
            "listeners": f"SASL_SSL://{self.bootstrap},{self._controller}",
            "advertised.listeners": f"SASL_SSL://{self.bootstrap}",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "SASL_SSL",
            "sasl.enabled.mechanisms": mechanism,
            "sasl.mechanism.inter.broker.protocol": mechanism,
            login: f'{module} required username="{BROKER_USER}" password="{BROKER_USER}";',
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(made.broker),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(made.authority),
        }

    @property
    def _controller(self) -> str:
        return f"CONTROLLER://127.0.0.1:{self._seat.controllers[self._seat.number - 1]}"

    def _properties(self) -> dict[str, str]:
        copies = str(self._seat.copies)
        enough = str(max(1, self._seat.copies - 1))
        return {
            "process.roles": "broker,controller",
            "node.id": str(self._seat.number),
            "controller.quorum.voters": self._seat.voters,
            "listeners": f"PLAINTEXT://{self.bootstrap},{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.directory / "logs"),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": enough,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": enough,
            # A broker that was killed is missed after three seconds, not after nine.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            "log.cleaner.dedupe.buffer.size": "16777216",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start: {(self.directory / 'broker.log').read_text()[-1500:]}")
            try:
                socket.create_connection((self._host, self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Orderly, or after a while by force."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again on the same port with the same data."""
        self.kill()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        leaves, self._leaves_classes = self._leaves_classes, None
        if leaves is not None and leaves.exists():
            if process.returncode == 128 + signal.SIGTERM:
                leaves.replace(_cache() / "classes.jsa")
            else:
                leaves.unlink()


class KafkaCluster:
    """Brokers that keep each other's records: any one of three may be gone."""

    def __init__(self, directory: Path, count: int = 3) -> None:
        controllers = tuple(free_ports(count))
        self.brokers = [
            KafkaBroker(directory / f"broker-{number}", seat=Seat(number, controllers))
            for number in range(1, count + 1)
        ]

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """All at once: one alone waits for the others."""
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(KafkaBroker.start, self.brokers))

    def stop(self) -> None:
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(KafkaBroker.stop, self.brokers))
