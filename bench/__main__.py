"""`python -m bench [PART]`: measure the product against what the same machine can do at the least, print ratios.

Everything of a table is measured in one run: absolute figures drift with the machine, ratios do not.
docs/benchmarks.md says what each ratio compares.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Annotated

import typer

from bench import report
from bench.sizes import DEFAULT, FULL, SMOKE, Size
from deploy.local.kafka import KafkaMissing
from deploy.local.postgres import PostgresMissing
from kit import logging as log_setup

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def parts() -> dict[str, Callable[[Size], None]]:
    """What can be measured, in this order; each part imports what it needs when it is asked for."""
    from bench import (
        boards,
        entries,
        gateway,
        growth,
        hooks,
        importers,
        ingest,
        kafka,
        memory,
        pipeline,
        replicas,
        retention,
        rules,
        sides,
        timeline,
    )

    return {
        "ingest": ingest.run,
        "hooks": hooks.run,
        "pipeline": pipeline.run,
        "rules": rules.run,
        "entries": entries.run,
        "boards": boards.run,
        "growth": growth.run,
        "memory": memory.run,
        "kafka": kafka.run,
        "replicas": replicas.run,
        "sides": sides.run,
        "gateway": gateway.run,
        "retention": retention.run,
        "timeline": timeline.run,
        "importers": importers.run,
    }


@cli.command()
def main(
    part: Annotated[str, typer.Argument(help="Which part; without it all of them.")] = "",
    full: Annotated[bool, typer.Option(help="Longer runs, a million stored events.")] = False,
    smoke: Annotated[bool, typer.Option(help="Only whether it works; the figures mean nothing.")] = False,
) -> None:
    """Measure and print tables of ratios."""
    known = parts()
    if part and part not in known:
        raise typer.BadParameter(f"one of {', '.join(known)}")
    log_setup.configure("error", "json")
    size = FULL if full else SMOKE if smoke else DEFAULT
    report.say(report.machine())
    for name, run in known.items():
        if part in ("", name):
            started = perf_counter()
            try:
                run(size)
            except (KafkaMissing, PostgresMissing, report.Skipped) as missing:
                report.say(f"{name}: skipped: {missing}")
            report.say(f"({name}: {perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    cli()
