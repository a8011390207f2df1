"""Exports of several files: a folder, a ZIP, or a tarball of one, read by name."""

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.events.importers.lines import decode_line

MAX_FILE_BYTES = 1 << 30
"""One file within an export is held as a whole; a larger one is reported."""

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, OSError)


class _Opened(Protocol):
    def read(self, name: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Tree:
    """`names` are those of the JSON files in order, as paths from the folder that has `marker` in it."""

    names: tuple[str, ...]
    root: str
    opened: _Opened

    def json(self, name: str) -> Any:
        """The value in a file. ValueError where it cannot be read or is no JSON."""
        try:
            return decode_line(self.opened.read(self.root + name))
        except _DAMAGED as error:
            raise ValueError(f"cannot be read: {type(error).__name__}") from error

    def objects(self, name: str) -> list[dict[str, Any]]:
        """The objects of the list in a file; none where there is no such file. ValueError as for `json`."""
        found = self.json(name) if name in self.names else []
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


@contextmanager
def tree(path: Path, marker: str) -> Iterator[Tree]:
    """The export, whose outermost folder is the one that has the file `marker`. ValueError when there is none, or it
    is no archive; OSError when unreadable."""
    with ExitStack() as stack:
        try:
            files, opened = _open(path, stack)
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.filename:
                raise
            raise ValueError(f"{path.name}: the archive is damaged: {type(error).__name__}") from error
        roots = [name.removesuffix(marker) for name in files if name == marker or name.endswith(f"/{marker}")]
        if not roots:
            raise ValueError(f"{path.name}: there is no {marker} in it")
        root = min(roots, key=len)
        names = sorted(name.removeprefix(root) for name in files if name.startswith(root) and name.endswith(".json"))
        yield Tree(tuple(names), root, opened)


def has(path: Path, marker: str, *others: str) -> bool:
    """Whether it is an export with these files in one folder. Raises nothing but OSError."""
    if path.is_dir():
        return all((path / name).is_file() for name in (marker, *others))
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _in_one_folder(archive.namelist(), (marker, *others))
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as packed:
                return _in_one_folder((member.name for member in packed), (marker, *others))
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.filename:
            raise
    return False


def _in_one_folder(names: Iterable[str], wanted: Collection[str]) -> bool:
    """Stops at the last of them: what stands behind in a packed tarball need not be unpacked."""
    found: dict[str, set[str]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last in wanted:
            found.setdefault(folder, set()).add(last)
            if len(found[folder]) == len(wanted):
                return True
    return False


def _open(path: Path, stack: ExitStack) -> tuple[list[str], _Opened]:
    if path.is_dir():
        return [one.relative_to(path).as_posix() for one in path.rglob("*.json") if one.is_file()], _Files(path)
    if zipfile.is_zipfile(path):
        archive = stack.enter_context(zipfile.ZipFile(path))
        return archive.namelist(), _Zip(archive)
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guildhall-import-")))
    with tarfile.open(path) as packed:
        # A packed tarball can be read from front to back only: what is wanted of it is put aside, under our own names.
        places: dict[str, Path] = {}
        for member in packed:
            inside = packed.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
            if inside is not None:
                places[member.name] = scratch / f"{len(places)}.json"
                with places[member.name].open("wb") as file:
                    while block := inside.read(1 << 20):
                        file.write(block)
        return list(places), _PutAside(places)


def _whole(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class _Files:
    folder: Path

    def read(self, name: str) -> bytes:
        _whole((self.folder / name).stat().st_size)
        return (self.folder / name).read_bytes()


@dataclass(frozen=True, slots=True)
class _Zip:
    archive: zipfile.ZipFile

    def read(self, name: str) -> bytes:
        _whole(self.archive.getinfo(name).file_size)
        return self.archive.read(name)


@dataclass(frozen=True, slots=True)
class _PutAside:
    places: Mapping[str, Path]

    def read(self, name: str) -> bytes:
        _whole(self.places[name].stat().st_size)
        return self.places[name].read_bytes()
