"""The state of training on disk, whole or not at all, so that a killed run goes on."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Checkpoint:
    """One file that holds arrays and plain facts.

    Attributes:
      file: an .npz file; need not exist.
      every: seconds between two writes, at least; writing costs more than an epoch of a small head.
    """

    file: Path
    every: float = 5.0
    _written: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether enough time has passed since the last write."""
        return time.monotonic() - self._written >= self.every

    def save(self, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Writes arrays and facts."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_name(self.file.name + ".partial")
        with partial.open("wb") as out:
            named: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays)}
            np.savez(out, **named, facts=np.array(json.dumps(facts)))
        partial.replace(self.file)
        self._written = time.monotonic()

    def load(self) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        """What was saved last; None without a file."""
        if not self.file.is_file():
            return None
        with np.load(self.file) as stored:
            arrays = [stored[f"a{i}"] for i in range(len(stored.files) - 1)]
            return arrays, json.loads(str(stored["facts"]))

    def remove(self) -> None:
        """Removes the file: training has ended."""
        self.file.unlink(missing_ok=True)
