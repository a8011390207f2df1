"""Whose the files of an embedded installation, or a spool, are: one process's at a time."""

import fcntl
import os
from pathlib import Path

from kit.log import LogUnavailable


def hold(path: Path) -> int:
    """Hold the log at `path`, and with it the whole installation, until the returned descriptor is closed or the
    process ends. LogUnavailable when another process does."""
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise LogUnavailable(
            f"another process uses {path}, which is one process's own: stop it first, "
            "or choose another GUILDHALL_DATA_DIR"
        ) from error
    return handle
