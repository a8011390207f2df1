"""How far an import has come, in a small file that survives a crash at any point.

The position is the last line before which everything is answered for: starting again behind it loses nothing, and
posting a line again changes nothing, so the file may lag behind the truth but never run ahead of it.
"""

import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import msgspec


class ResumeMismatch(Exception):
    """The resume file belongs to another file or another import; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Position:
    """`line` 0 is the beginning; the counts are those of the lines up to it."""

    line: int = 0
    accepted: int = 0
    rejected: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class _Saved:
    name: str
    digest: str
    position: Position


class ResumeFile:
    """Remembers the position of one import (`name`) of one file (`digest`). `path` None remembers nothing."""

    def __init__(self, path: Path | None, *, name: str, digest: str) -> None:
        self._path = path
        self._name = name
        self._digest = digest

    def load(self) -> Position:
        """The saved position, or the beginning. ResumeMismatch when the file on the disk is about something else."""
        if self._path is None or not self._path.exists():
            return Position()
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ResumeMismatch(f"{self._path} is no resume file ({error}); remove it to start anew") from error
        if (saved.name, saved.digest) != (self._name, self._digest):
            raise ResumeMismatch(
                f"{self._path} belongs to import {saved.name!r} of a file with digest {saved.digest[:12]}…, "
                f"this is {self._name!r} of {self._digest[:12]}…; remove it to start anew, or name another"
            )
        return saved.position

    def save(self, position: Position) -> None:
        """Replace the saved position; on return it is on the disk. A crash leaves the old one or the new one."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_name(self._path.name + ".new")
        saved = {"name": self._name, "digest": self._digest, "position": asdict(position)}
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(saved))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def forget(self) -> None:
        """Remove the position: the import is finished, or it begins anew."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def default_path(url: str, name: str) -> Path:
    """Where an import under way remembers its position unless told otherwise: the user's state directory.

    Beside the file would be the obvious place, but archives of history are often read-only.
    """
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "guildhall" / "imports" / f"{sha256(f'{url}|{name}'.encode()).hexdigest()[:32]}.json"
