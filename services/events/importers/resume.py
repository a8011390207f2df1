"""How far an import has come, in a small file that survives a crash at any point, and what was wrong up to there, in
one beside it.

The position is the last line before which everything is answered for: starting again behind it loses nothing, and
posting a line again changes nothing, so the file may lag behind the truth but never run ahead of it.
"""

import os
from collections.abc import Sequence
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
class Problem:
    """A line that is not in the platform now, and why. `code` and `pointer` are the platform's, if it was asked.
    `where` says where it stands in an export that has no lines."""

    line: int
    id: str | None
    code: str
    pointer: str
    message: str
    where: str = ""


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
        saved = {"name": self._name, "digest": self._digest, "position": asdict(position)}
        _replace(self._path, msgspec.json.encode(saved))

    @property
    def problems_path(self) -> Path | None:
        """Every problem, a line of JSON each."""
        return self._path and self._path.with_suffix(".problems.jsonl")

    def problems(self, through: int) -> list[Problem]:
        """What was noted of lines up to `through`. What was noted behind it is forgotten: those lines come again."""
        path = self.problems_path
        if path is None or not path.exists():
            return []
        kept = []
        for line in path.read_bytes().splitlines():
            try:
                kept.append(msgspec.json.decode(line, type=Problem))
            except msgspec.MsgspecError:
                break  # A crash cut it while it was written: nothing that was saved stands behind it.
        kept = [problem for problem in kept if problem.line <= through]
        _replace(path, b"".join(msgspec.json.encode(problem) + b"\n" for problem in kept))
        return kept

    def note(self, problems: Sequence[Problem]) -> None:
        """Add these; on return they are on the disk. To be called before the position behind them is saved."""
        path = self.problems_path
        if path is None or not problems:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.writelines(msgspec.json.encode(problem) + b"\n" for problem in problems)
            file.flush()
            os.fsync(file.fileno())

    def forget(self) -> None:
        """Remove the position: the import is finished, or it begins anew. The problems stay until it does."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    """Write a file anew; a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def default_path(url: str, name: str) -> Path:
    """Where an import under way remembers its position unless told otherwise: the user's state directory.

    Beside the file would be the obvious place, but archives of history are often read-only.
    """
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "guildhall" / "imports" / f"{sha256(f'{url}|{name}'.encode()).hexdigest()[:32]}.json"
