"""What may befall an installation besides a kill, in the form of a victim: `kill` brings it on, `start` ends it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.crash.processes import Process
from tests.support.network import Host, SlowLine


@dataclass(slots=True)
class Cut:
    """A host nobody hears of. Every second time its answers alone are lost: it has taken what it was sent."""

    host: Host
    times: int = 0

    def kill(self) -> None:
        self.times += 1
        self.host.cut(answers_only=self.times % 2 == 0)

    def start(self) -> None:
        self.host.heal()


@dataclass(slots=True)
class Slow:
    """A server that takes twice `seconds` to answer anything."""

    line: SlowLine
    seconds: float

    def kill(self) -> None:
        self.line.delay = self.seconds

    def start(self) -> None:
        self.line.delay = 0.0


@dataclass(slots=True)
class Replicas:
    """Between none and `most` further processes of one service. Each time one comes or one goes, by signal or by
    SIGKILL, and the group divides its partitions anew."""

    make: Callable[[int], Process]
    most: int
    random: Random
    running: list[Process] = field(default_factory=list)
    made: int = 0

    def kill(self) -> None:
        if not self.running or (len(self.running) < self.most and self.random.random() < 0.5):
            self.made += 1
            process = self.make(self.made)
            process.start()
            self.running.append(process)
            return
        process = self.running.pop(self.random.randrange(len(self.running)))
        if self.random.random() < 0.5:
            process.kill()
        else:
            process.stop()

    def start(self) -> None:
        """Nothing ends here: the next one comes or goes when its time has come."""

    def stop(self) -> None:
        for process in self.running:
            process.stop()
        self.running.clear()
