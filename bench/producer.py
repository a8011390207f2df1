"""Kafka's own producer test: what one Java producer gets onto the broker, with no HTTP and nothing checked."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local import kafka

VERSION = "4.3.1"
"""The newest of the performance tools that is published; newer brokers take it."""

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>guildhall</groupId><artifactId>kafka-tools</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
<version>{version}</version></dependency></dependencies></project>
"""
_RATE = re.compile(r"^(\d+) records sent, ([\d.]+) records/sec", re.MULTILINE)


def jars() -> Path:
    """The tools beside the broker's jars in the user's cache, brought by Maven the first time."""
    folder = kafka.jars().parent.with_name(f"kafka-tools-{VERSION}")
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(POM.format(version=VERSION))
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'libs'}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise kafka.KafkaMissing(f"Maven could not bring Kafka's tools: {(done.stdout + done.stderr)[-500:]}")
        (folder / "complete").touch()
    return folder / "libs"


def rate(
    bootstrap: str, topic: str, payloads: Sequence[bytes], records: int, directory: Path, **properties: str
) -> float:
    """Records a second over all of `records`, taken at random from the payloads, `acks=all`."""
    java = shutil.which("java")
    if java is None:
        raise kafka.KafkaMissing("java is not installed")
    file = directory / "payloads"
    file.write_bytes(b"\n".join(payloads) + b"\n")
    log4j = directory / "log4j2.properties"
    log4j.write_text(kafka.LOG4J)
    given = {"bootstrap.servers": bootstrap, "acks": "all", **{k.replace("_", "."): v for k, v in properties.items()}}
    command = [java, "-Xmx384m", f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars()}/*"]
    command += ["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", str(records)]
    command += ["--throughput", "-1", "--payload-file", str(file)]
    command += ["--producer-props", *(f"{name}={value}" for name, value in given.items())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = [(int(n), float(r)) for n, r in _RATE.findall(done.stdout) if int(n) == records]
    if done.returncode or not found:
        raise RuntimeError(f"Kafka's producer test: {(done.stdout + done.stderr)[-1000:]}")
    return found[-1][1]
