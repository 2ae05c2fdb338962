"""The state of training on disk or in an object store, whole or not at all.

So a killed run goes on.
"""

import io
import json
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from schema import storage
from schema.errors import PneumoError
from schema.files import atomic_file


@dataclass
class Checkpoint:
    """One file that holds arrays and plain facts.

    Attributes:
      file: an .npz file, a path or a URI (gs://, s3://, minio://); need not exist.
      every: seconds between two writes, at least; writing costs more than an epoch of a small head.
    """

    file: Path | str
    every: float = 5.0
    _written: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether enough time has passed since the last write."""
        return time.monotonic() - self._written >= self.every

    def save(self, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Writes arrays and facts.

        Raises:
          PneumoError: the store does not take them.
        """
        named: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays)}
        named["facts"] = np.array(json.dumps(facts))
        if self._remote:
            content = io.BytesIO()
            np.savez(content, **named)
            # A store makes an object appear when all of it has come.
            storage.write_bytes(str(self.file), content.getvalue())
        else:
            file = Path(self.file)
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(file) as out:
                np.savez(out, **named)
        self._written = time.monotonic()

    def load(self) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        """What was saved last; None without a file.

        Raises:
          PneumoError: what is there is no state of training, or the store cannot be asked.
        """
        if not storage.exists(str(self.file)):
            return None
        content = io.BytesIO(storage.read_bytes(str(self.file)))
        try:
            with np.load(content) as stored:
                arrays = [stored[f"a{i}"] for i in range(len(stored.files) - 1)]
                return arrays, json.loads(str(stored["facts"]))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise PneumoError(
                f"{self.file} is no state of training ({error}); remove it to start anew"
            ) from None

    @property
    def _remote(self) -> bool:
        return storage.is_remote(str(self.file))
