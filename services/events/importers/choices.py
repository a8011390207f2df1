"""What a person says about an export beside the export: what cannot be read in it."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Choices:
    """`mapping` is a TOML file that says what the columns of a CSV file are. `connection` and `site` are those of the
    live connection of the same platform, where its names count within one connection or site only."""

    mapping: Path | None = None
    connection: UUID | None = None
    site: str = ""

    def settings(self) -> tuple[str, ...]:
        """All that decides what comes of an export, as text: an import goes on only under the same. OSError when the
        mapping cannot be read."""
        mapping = self.mapping.read_bytes().hex() if self.mapping is not None else ""
        given = (mapping, str(self.connection or ""), self.site)
        return given if any(given) else ()
