"""Load from `wrk`: one generator for every server that is compared, requests made by a Lua script in a throw-away
directory. Every posted event has an id of its own, over all runs."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from uuid import uuid4

from bench.activities import ACTOR, ACTORS, ID, actor, door_event
from bench.report import Skipped

TEMPLATES = 50
LINE = "\n"
_runs = count(1)
_tag = uuid4().hex[:8]


class WrongAnswers(Exception):
    """Something else than 2xx came back, or nothing: the figures of such a run mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run reached. Times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nBENCH {"requests":%d,"us":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""


def post_script(at: datetime, batch: int, key: str) -> str:
    """A script that posts events one by one (`batch` 1) or in batches. Bodies are glued from ready-made pieces, so
    that the generator does not become what is measured."""
    before, _, rest = door_event(at).partition(ID)
    between, _, after = rest.partition(ACTOR)
    media = "application/cloudevents+json" if batch == 1 else "application/cloudevents-batch+json"
    templates = []
    for number in range(ACTORS if batch == 1 else TEMPLATES):
        pieces = []
        for index in range(batch):
            own = f"{between}{actor(number * batch + index)}{after}"
            start = ("" if batch == 1 else "[" if index == 0 else ",") + before
            end = own + ("]" if batch > 1 and index == batch - 1 else "")
            pieces += [start, None, f"-{index}{end}"]
        templates.append("{" + ",".join("false" if p is None else f"[==[{p}]==]" for p in pieces) + "}")
    return f"""
local templates = {{{",".join(templates)}}}
local tag, count = "{_tag}-{next(_runs)}-", 0
wrk.method = "POST"
wrk.path = "/v1/events"
wrk.headers["Content-Type"] = "{media}"
wrk.headers["Authorization"] = "Bearer {key}"
function request()
  local template = templates[count % #templates + 1]
  count = count + 1
  local id = tag .. count
  for place = 2, #template, 3 do template[place] = id end
  return wrk.format(nil, nil, nil, table.concat(template))
end
{DONE}"""


def delivery_script(path: str, deliveries: Sequence[tuple[bytes, Mapping[str, str]]]) -> str:
    """A script that posts these bodies with their headers, one after the other and from the beginning again."""
    requests = (
        f"{{[==[{body.decode()}]==],{{{','.join(f'[{name!r}]={value!r}' for name, value in headers.items())}}}}}"
        for body, headers in deliveries
    )
    return f"""
local deliveries, count = {{}}, 0
{LINE.join(f"deliveries[#deliveries + 1] = {one}" for one in requests)}
function request()
  count = count + 1
  local one = deliveries[(count - 1) % #deliveries + 1]
  return wrk.format("POST", "{path}", one[2], one[1])
end
{DONE}"""


def get_script(paths: Sequence[str], key: str) -> str:
    """A script that asks for the paths one after the other."""
    quoted = ",".join(f'"{path}"' for path in paths)
    return f"""
local paths, count = {{{quoted}}}, 0
wrk.headers["Authorization"] = "Bearer {key}"
function request()
  count = count + 1
  return wrk.format("GET", paths[count % #paths + 1])
end
{DONE}"""


def run(url: str, script: str, directory: Path, *, connections: int, seconds: int, pause_ms: int = 0) -> Load:
    """One run with one thread. `pause_ms` is waited on each connection before each request, to stay below the peak.

    WrongAnswers unless every answer was 2xx.
    """
    program = shutil.which("wrk")
    if program is None:
        raise Skipped("wrk is not installed")
    path = directory / "load.lua"
    path.write_text(script + (f"\nfunction delay() return {pause_ms} end\n" if pause_ms else ""))
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(path), url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("BENCH ")]
    if not lines:
        raise RuntimeError(f"wrk: {(done.stdout + done.stderr)[-500:]}")
    found = json.loads(lines[0].removeprefix("BENCH "))
    wrong = {name: found[name] for name in ("connect", "read", "write", "status", "timeout") if found[name]}
    if wrong or not found["requests"]:
        raise WrongAnswers(f"{url}: {found['requests']} requests, wrong answers {wrong}")
    return Load(found["requests"], found["us"] / 1e6, found["p50"] / 1e6, found["p99"] / 1e6)
