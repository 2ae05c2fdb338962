"""Embeddings on disk: one `.npy` file per view, written as a stream and read as a memory map."""

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from core.embedding import pixel_sample
from core.embedding.records import ImageRecords, ragged_boxes
from schema.files import atomic_file

METADATA_FILE = "embedding.json"
BOXES_FILE = "boxes.parquet"
_HEADER = 256  # bytes; a fixed size, because the header is written last


class ArrayWriter:
    """Writes an .npy file row by row; the number of rows need not be known in advance.

    `error` is the largest relative error of the storage type over values that float16 represents
    as normal numbers; below 2^-14 the absolute error is at most 2^-25.
    """

    def __init__(self, file: Path, dtype: str) -> None:
        self.file, self.dtype = file, np.dtype(dtype)
        self.rows = 0
        self.shape: tuple[int, ...] = ()
        self.error = 0.0
        self._writing = atomic_file(file)

    def add(self, batch: np.ndarray) -> None:
        """Appends float32 [n, ...].

        Raises:
          ValueError: a value is not finite or too large for the storage type.
        """
        with np.errstate(over="ignore"):
            stored = batch.astype(self.dtype)
        if not np.isfinite(stored).all():
            worst = float(np.abs(batch).max())
            raise ValueError(
                f"embedding value {worst:g} is too large for {self.dtype.name}; "
                "set training.embedding.storage=float32"
            )
        if self.dtype != batch.dtype:
            size = np.abs(batch)
            large = size >= 2.0**-14
            if large.any():
                error = np.abs(stored.astype(np.float32) - batch)[large] / size[large]
                self.error = max(self.error, float(error.max()))
        self.shape = batch.shape[1:]
        self.rows += len(batch)
        stored.tofile(self._out)

    def _write_header(self) -> None:
        shape = (self.rows, *(int(side) for side in self.shape))
        text = repr({"descr": self.dtype.str, "fortran_order": False, "shape": shape})
        body = text.encode().ljust(_HEADER - 11) + b"\n"
        self._out.seek(0)
        self._out.write(b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + body)

    def __enter__(self) -> Self:
        self._out = self._writing.__enter__()
        self._out.write(b"\0" * _HEADER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._write_header()
        self._writing.__exit__(kind, error, trace)


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of one split.

    Attributes:
      features: view -> [n, 2 * channels], memory-mapped: global average, then global maximum, of
        the backbone's output. View 0 is the image itself.
      maps: view -> [n, h, w, channels], memory-mapped: activation at the layer; empty for "top".
      records: record features of the rows.
      metadata: content of `embedding.json`: backbone, layer, weights, compute and storage types,
        their errors, seconds.
      boxed_sample: pixels and rows of some images with boxes; see `core.embedding.pixel_sample`.
      boxes: view -> object [n], each float32 [k, 4]: the boxes in that view, in "model" coordinates
        (core.images.boxes).
      unboxed_sample: pixels and rows of some images without boxes.
    """

    features: tuple[np.ndarray, ...]
    maps: tuple[np.ndarray, ...]
    records: ImageRecords
    metadata: dict[str, Any]
    boxed_sample: pixel_sample.Sample | None = None
    boxes: tuple[np.ndarray, ...] = ()
    unboxed_sample: pixel_sample.Sample | None = None

    def __len__(self) -> int:
        return len(self.records)


def features_file(folder: Path, view: int) -> Path:
    """Returns the file of pooled backbone outputs."""
    return folder / f"features-{view}.npy"


def maps_file(folder: Path, view: int) -> Path:
    """Returns the file of activations at the layer."""
    return folder / f"maps-{view}.npy"


def read_embeddings(folder: Path) -> Embeddings:
    """Opens the embeddings of a split as memory maps.

    Raises:
      FileNotFoundError: the folder has no embeddings.
    """
    metadata = json.loads((folder / METADATA_FILE).read_text())

    def views(prefix: str) -> tuple[np.ndarray, ...]:
        files = folder.glob(f"{prefix}-*.npy")
        ordered = sorted(files, key=lambda path: int(path.stem.split("-")[1]))
        return tuple(open_array(path) for path in ordered)

    boxed, unboxed = pixel_sample.read_samples(folder)
    return Embeddings(
        views("features"),
        views("maps"),
        ImageRecords.read(folder),
        metadata,
        boxed,
        read_boxes(folder),
        unboxed,
    )


def write_boxes(folder: Path, boxes: Sequence[np.ndarray]) -> None:
    """Writes the boxes of each view, object [n] of float32 [k, 4], as `boxes.parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.list_(pa.float32())
    columns = {
        f"view-{view}": pa.array([row.ravel() for row in rows], flat)
        for view, rows in enumerate(boxes)
    }
    pq.write_table(pa.table(columns), folder / BOXES_FILE)


def read_boxes(folder: Path) -> tuple[np.ndarray, ...]:
    """Reads `boxes.parquet`; empty if there is no such file."""
    import pyarrow.parquet as pq

    if not (folder / BOXES_FILE).is_file():
        return ()
    table = pq.read_table(folder / BOXES_FILE, partitioning=None)
    return tuple(
        ragged_boxes(table[f"view-{view}"].to_pylist()) for view in range(table.num_columns)
    )


def open_array(file: Path) -> np.ndarray:
    """Memory-maps an .npy file; returns an ordinary array if it has no rows."""
    with file.open("rb") as content:
        header = ast.literal_eval(content.read(_HEADER)[10:].decode())
    if header["shape"][0] == 0:
        return np.empty(header["shape"], header["descr"])
    return np.load(file, mmap_mode="r")
