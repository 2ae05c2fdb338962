"""Checkpoints of training on disk or in an object store, written atomically."""

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
    """One .npz file with arrays and JSON metadata.

    Attributes:
      file: path or URI (gs://, s3://, minio://); need not exist.
      every: minimum number of seconds between two writes.
    """

    file: Path | str
    every: float = 5.0
    _written: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Returns whether `every` seconds have passed since the last write."""
        return time.monotonic() - self._written >= self.every

    def save(self, arrays: list[np.ndarray], metadata: dict[str, Any]) -> None:
        """Writes arrays and metadata.

        Raises:
          PneumoError: the object store rejects the write.
        """
        named: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays)}
        named["facts"] = np.array(json.dumps(metadata))
        if self._remote:
            content = io.BytesIO()
            np.savez(content, **named)
            # Object stores write objects atomically.
            storage.write_bytes(str(self.file), content.getvalue())
        else:
            file = Path(self.file)
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(file) as out:
                np.savez(out, **named)
        self._written = time.monotonic()

    def load(self) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        """Returns the arrays and metadata of the last `save`; None if there is no file.

        Raises:
          PneumoError: the file is not a checkpoint, or the object store cannot be read.
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
                f"{self.file} is not a training checkpoint ({error}); delete it to train from the "
                "start"
            ) from None

    @property
    def _remote(self) -> bool:
        return storage.is_remote(str(self.file))
