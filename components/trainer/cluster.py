"""Shares of the work."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Share:
    """One of `size` equal parts of the work."""

    rank: int = 0
    size: int = 1

    def part(self, n: int) -> slice:
        """Its part of n things in a row; parts differ by one thing at most, and may be empty."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)


ALONE: Final = Share()
