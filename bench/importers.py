"""What reading an export and making activities of it costs, beside files of CloudEvents, which nothing is made of."""

import csv
import json
import multiprocessing
import re
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter

from bench import report
from bench.sizes import Size
from services.events.importers import Choices, read
from services.events.importers.lines import Good

START = 1_600_000_000
PEOPLE = 10_000
ROUNDS = 3
TEXT = "what somebody wrote, as long as things are that people write in chats"
MAPPING = """
source = "/archives/bench"
platform = "bench"
type = "message.created"
[columns]
id = "id"
time = "time"
who = "actor"
where = "group"
text = "text"
[time]
format = "unix"
"""


def cloudevents(path: Path, rows: int) -> None:
    with path.open("w") as file:
        for number in range(rows):
            data = {"actor": f"bench:{number % PEOPLE}", "group": "bench:1", "text": TEXT}
            event = {"specversion": "1.0", "id": str(number), "source": "/archives/bench", "type": "message.created"}
            file.write(json.dumps({**event, "time": "2020-09-13T12:26:40Z", "data": data}) + "\n")


def csv_rows(path: Path, rows: int) -> None:
    path.with_suffix(".toml").write_text(MAPPING)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "time", "who", "where", "text"])
        writer.writerows([number, START + number, number % PEOPLE, 1, TEXT] for number in range(rows))


def telegram(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write('{"name": "bench", "type": "private_supergroup", "id": 1, "messages": [\n')
        for number in range(1, rows + 1):
            message = {
                "id": number,
                "type": "message",
                "date": "2020-09-13T14:26:40",
                "date_unixtime": str(START + number),
                "from": "Somebody",
                "from_id": f"user{number % PEOPLE + 1}",
                "reply_to_message_id": max(1, number - 1),
                "text": TEXT,
                "text_entities": [{"type": "plain", "text": TEXT}],
            }
            file.write(json.dumps(message) + ("\n" if number == rows else ",\n"))
        file.write("]}")


WRITERS: dict[str, Callable[[Path, int], None]] = {"cloudevents": cloudevents, "csv": csv_rows, "telegram": telegram}


def run(size: Size) -> None:
    rows = size.stored or size.activities * 10
    report.heading(f"Importers: reading and translating, {rows:,} rows")
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in WRITERS}
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as folder:
        paths = {name: Path(folder) / name for name in WRITERS}
        for name, write in WRITERS.items():
            write(paths[name], rows)
        # A million rows take minutes, in which what disturbs evens out.
        for _ in range(1 if size.stored else ROUNDS):
            for name, path in paths.items():
                figures[name].append(_measured(name, path, rows))
        sizes = {name: path.stat().st_size / 2**20 for name, path in paths.items()}
    speeds = {name: median(rows / seconds for seconds, _ in found) for name, found in figures.items()}
    report.table(
        ("format", "MiB", "rows/s", "of CloudEvents", "peak MiB"),
        [
            (
                name,
                report.whole(sizes[name]),
                report.whole(speed),
                report.ratio(speed / speeds["cloudevents"]),
                report.whole(max(peak for _, peak in figures[name])),
            )
            for name, speed in speeds.items()
        ],
    )


def _measured(name: str, path: Path, rows: int) -> tuple[float, float]:
    """(seconds, peak resident MiB) in a process of its own."""
    # Forked, it would begin with what this one holds.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(name, path, rows, theirs))
    process.start()
    seconds, peak = ours.recv()
    process.join()
    return seconds, peak


def _read(name: str, path: Path, rows: int, answer: Connection) -> None:
    choices = Choices(mapping=path.with_suffix(".toml")) if name == "csv" else Choices()
    started = perf_counter()
    good = sum(isinstance(line, Good) for line in read(path, choices=choices))
    seconds = perf_counter() - started
    if good != rows:
        raise RuntimeError(f"{good} of {rows} rows were read")
    # What getrusage calls the highest may be that of the process it was started from.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    answer.send((seconds, int(peak[1]) / 1024 if peak else 0.0))
