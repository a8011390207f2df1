"""What the commands have in common: options, settings, and how a failure is told."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from kit import logging as log_setup
from kit.settings import Settings, SettingsError, load_settings

DataDir = Annotated[Path | None, typer.Option(help="Where to keep the files (GUILDHALL_DATA_DIR, ./data).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one (GUILDHALL_PORT, 8000).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON for scripts.")]


def fail(message: str) -> NoReturn:
    typer.secho(f"guildhall: {message}", fg="red", err=True)
    raise typer.Exit(1)


def settings_from(**overrides: object) -> Settings:
    try:
        settings = load_settings(None, **overrides)
    except SettingsError as error:
        fail(str(error))
    log_setup.configure(settings.log_level, settings.log_format)
    return settings
