"""Where appended records stand, worked out when somebody looks: the door appends a hundred and looks at none."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

from kit.log import Position


class Positions(Sequence[Position]):
    """`length` positions; `make` gives all of them and is called at most once."""

    def __init__(self, length: int, make: Callable[[], list[Position]]) -> None:
        self._length = length
        self._make = make

    @cached_property
    def _made(self) -> list[Position]:
        return self._make()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Position: ...
    @overload
    def __getitem__(self, index: slice) -> list[Position]: ...
    def __getitem__(self, index: int | slice) -> Position | list[Position]:
        return self._made[index]
