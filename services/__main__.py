"""The command line: `guildhall up | serve | up-split | demo | migrate | doctor | topics | import | …`."""

import gc
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "up": ("services.commands.whole:up", "Start everything in one process and print how to use it."),
    "serve": ("services.commands.starting:serve", "Start one service on PostgreSQL and Kafka; any number of replicas."),
    "up-split": (
        "services.commands.whole:up_split",
        "Start a Kafka broker, PostgreSQL and the four services as processes in a throw-away directory.",
    ),
    "migrate": (
        "services.commands.migrating:migrate",
        "Bring every service's schema to head; safe to run twice and beside running replicas.",
    ),
    "bootstrap": (
        "services.commands.whole:bootstrap",
        "Create the first community (or a fresh key for it) on PostgreSQL; prints what `up --json` does.",
    ),
    "sign-in-link": (
        "services.commands.signing_in:sign_in_link",
        "Print a fresh one-time sign-in link of a running installation.",
    ),
    "gateway-config": (
        "services.commands.gateway:gateway_config",
        "Print the gateway's configuration (HAProxy): every service's routes, limits as these settings have them.",
    ),
    "demo": (
        "services.commands.demo:demo",
        "Replay a community into a throw-away installation and print a summary a person can check.",
    ),
    "import": (
        "services.commands.importing:import_file",
        "Post a file as history: taken at its own times, lateness does not apply, nobody is notified.",
    ),
    "doctor": (
        "services.commands.doctor:doctor",
        "Look at settings, databases, log, topics, clocks and space; say what to do.",
    ),
    "migrate-db": (
        "services.commands.moving:migrate_db",
        "Move an embedded installation to PostgreSQL and Kafka, and compare.",
    ),
    "dead-letters": ("services.commands.dead_letters:cli", "List, retry and discard events that were given up on."),
    "topics": (
        "services.commands.topics:cli",
        "Compare the topics on Kafka with the settings, and mend what differs.",
    ),
    "ledger": ("services.commands.ledger:cli", "Verify the ledger's chain, also on an export."),
}
"""Where each command, or group of them, is made, and how its own help begins: the list of all imports none."""


class OnDemand(TyperCommand):
    """Stands for a command, or a group of them, until it is the one that was asked for."""

    def __init__(self, name: str, place: str, line: str) -> None:
        super().__init__(name, help=line)
        self.place = place

    def load(self) -> Any:
        """The command itself."""
        module, _, name = self.place.partition(":")
        made = getattr(import_module(module), name)
        if not isinstance(made, typer.Typer):
            function, made = made, typer.Typer(add_completion=False)
            made.command(self.name)(function)
        return typer.main.get_command(made)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)


cli = TyperGroup(
    name="guildhall",
    help=__doc__,
    no_args_is_help=True,
    commands=[OnDemand(name, place, line) for name, (place, line) in COMMANDS.items()],
)


def main() -> None:
    """The `guildhall` command."""
    # What is imported stays: by Python's own thresholds a start went through all of it dozens of times, in vain.
    gc.set_threshold(50_000, 20, 100)
    cli()


if __name__ == "__main__":
    main()
