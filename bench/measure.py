"""Reading clocks and processes."""

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import perf_counter


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


async def timed(times: int, work: Callable[[int], Awaitable[object]]) -> list[float]:
    """Seconds of each of `times` calls one after the other, after a tenth as many that do not count."""
    for number in range(times // 10):
        await work(number)
    out = []
    for number in range(times):
        started = perf_counter()
        await work(number)
        out.append(perf_counter() - started)
    return out


def resident(pid: int) -> int:
    """Bytes of memory a process holds now. Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no resident memory")


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used so far, all threads. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Processor time this machine has been busy so far, all cores together. Linux only."""
    fields = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")
