"""Every receiver under a fuzzer that follows coverage (atheris), beginning with the payloads there are.

    python -m tests.events.receivers.fuzz SECONDS|RUNS:SEED [PLATFORM…]

`30` tries for as many seconds, each time something else; `15000:1` makes that many tries from a seed, the same ones
each time (with PYTHONHASHSEED set).

Ends with 0 when nothing but Refused and Malformed came out and everything translated went through the door; prints the
input that did not, and ends with another number, else. Not part of pytest's own process: libFuzzer takes over signals
and the end of the process.
"""

import sys
import tempfile
from pathlib import Path
from uuid import UUID

import atheris

with atheris.instrument_imports(include=["services.events.receivers"]):
    from services.events.receivers import receivers
    from services.events.receivers.form import Malformed, Refused

    receivers()  # they are found, and imported, when they are asked for

import json
import random
from dataclasses import replace
from typing import Any

from services.events.commands import PREFIXES, with_commands
from services.events.receivers.door import event_of
from services.events.wire import Accepted, Arrival, check
from tests.events.receivers.senders import senders
from tests.events.receivers.sending import AT

COMMUNITY, CONNECTION = UUID(int=7), UUID(int=8)


def try_one(platform: str, body: bytes) -> None:
    """The body as a delivery that is the platform's own, and as one whose signature is of something else."""
    receiver, sender = receivers()[platform], senders()[platform]
    sample = next(sender.samples())
    for delivery in (
        sender.deliver(replace(sample, body=body), sender.secrets[0], AT),
        replace(sender.deliver(sample, sender.secrets[0], AT), body=body),
    ):
        try:
            plain = receiver.verify(delivery, sender.secrets[:1], sender.settings)
            receiver.greet(plain, sender.secrets[0], sender.settings)
            translation = receiver.translate(plain, sender.settings)
        except (Refused, Malformed):
            continue
        for seen in with_commands(translation.seen, PREFIXES):
            result = check(event_of(seen, platform, CONNECTION), Arrival(COMMUNITY, AT, None, "fuzz", 65536))
            # When it happened is what the platform says; the door takes no other time for it. What a mapping finds is
            # whoever wrote it to mend: the door says why it does not fit and keeps it with the refused ones.
            fits = isinstance(result, Accepted) or result.wrong.code.startswith("time_") or platform == "mapper"
            assert fits, (platform, body, seen, result)


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    1e308,
    "",
    "0",
    "\0",
    "\ud800",
    "x" * 500,
    [],
    {},
    [[]],
    "2026-11-25T12:00:00Z",
)


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time something inside the JSON becomes something else, so that what is behind its decoding is met;
    otherwise its bytes do."""
    chance = random.Random(seed)
    try:
        if chance.random() < 0.5:
            raise ValueError
        value = json.loads(data[1:])
        places = list(_places(value))
        for _ in range(chance.randint(1, 4)):
            holder, key = chance.choice(places)
            other_holder, other_key = chance.choice(places)
            try:
                holder[key] = chance.choice((*ODD, other_holder[other_key], str(holder[key])))
            except (KeyError, IndexError):
                continue
        return data[:1] + json.dumps(value).encode()[: most - 1]
    except (ValueError, RecursionError, IndexError):
        return bytes(atheris.Mutate(data, most))


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = one.keys() if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found


def main() -> None:
    much, chosen = sys.argv[1], sys.argv[2:] or sorted(receivers())
    runs, _, seed = much.partition(":")
    limits = [f"-runs={runs}", f"-seed={seed}"] if seed else [f"-max_total_time={much}"]

    def test_one(data: bytes) -> None:
        if data:
            try_one(chosen[data[0] % len(chosen)], data[1:])

    with tempfile.TemporaryDirectory() as corpus:
        for number, platform in enumerate(chosen):
            for place, sample in enumerate(senders()[platform].samples()):
                (Path(corpus) / f"{platform}-{place}").write_bytes(bytes([number]) + sample.body)
        options = [sys.argv[0], corpus, *limits, "-max_len=8192", "-print_final_stats=1"]
        atheris.Setup(options, test_one, custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
