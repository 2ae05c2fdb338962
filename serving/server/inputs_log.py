"""Log of input statistics for `pneumo monitor`; contains neither images nor names.

One JSON object per line: time (seconds since 1970), version, height, width (pixels), brightness
(mean gray, 0..255, as in the training records), score, decision, status, and optionally
`embedding`.
"""

import asyncio
import io
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from schema.errors import PneumoError
from serving.client.client import PROBE_IMAGE
from serving.server.options import ServerOptions
from serving.server.saved_model import SavedModel

_MAX_QUEUED = 64  # images; further ones are not logged
_MAX_PIXELS = 80_000_000  # larger images are not decoded
_MIN_REDUCED = 256  # pixels; smaller images are decoded at full size
Row = tuple[bytes, float, str, str]
_KEYS = ("time", "version", "height", "width", "brightness", "score", "decision", "status")


class InputsLog:
    """Appends to a file in a background thread; requests do not wait for it.

    Args:
      options: file, fraction of images to log, fraction of those to log with their embedding (which
        needs a second pass of the model).
      on_skipped: called for each image that could not be logged.

    Raises:
      PneumoError: the file cannot be written.
    """

    def __init__(self, options: ServerOptions, on_skipped: Callable[[], None]) -> None:
        self._options, self._on_skipped = options, on_skipped
        file = Path(options.log_inputs or "")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file.open("ab")
        except OSError as error:
            raise PneumoError(f"cannot write the input log {file}: {error.strerror}") from None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="inputs-log")
        self._slots = threading.Semaphore(_MAX_QUEUED)

    def add(self, number: int, model: SavedModel, rows: Iterable[Row]) -> None:
        """Logs a sample of the rows (image, score, decision, status) of one request."""
        for image, *row in rows:
            if image == PROBE_IMAGE or random.random() >= self._options.log_sample:
                continue
            if not self._slots.acquire(blocking=False):
                self._on_skipped()
                continue
            values = (round(time.time(), 3), str(number), None, None, None, *row)
            line = dict(zip(_KEYS, values, strict=True))
            embedding = None
            can_embed = line["status"] == "OK" and "embed" in model.signatures
            if can_embed and random.random() < self._options.log_embeddings:
                call = model.predict("embed", [image])
                embedding = asyncio.run_coroutine_threadsafe(call, asyncio.get_running_loop())
            self._writer.submit(self._write, line, image, embedding)

    def _write(self, line: dict[str, Any], image: bytes, embedding: "Future[Any] | None") -> None:
        try:
            if line["status"] == "OK":
                line |= measure(image)
            if embedding is not None:
                line["embedding"] = embedding.result(60)[0]["embedding"][0]
            self._file.write(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
            self._file.flush()
        except Exception:
            self._on_skipped()
        finally:
            self._slots.release()

    def close(self) -> None:
        """Writes the queued lines and closes the file."""
        self._writer.shutdown()
        self._file.close()


def measure(image: bytes) -> dict[str, Any]:
    """Returns height, width and mean gray value of a JPEG or PNG; empty if Pillow cannot read it.

    A large JPEG is decoded at an eighth of its size, which preserves the mean.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image), formats=("JPEG", "PNG")) as opened:
            width, height = opened.size
            if width * height > _MAX_PIXELS:
                return {"height": height, "width": width}
            if min(width, height) >= _MIN_REDUCED:
                opened.draft("L", (width // 8, height // 8))
            deep = opened.mode.startswith("I")  # 16 bits
            gray = np.asarray(opened if deep else opened.convert("L"), np.float64)
            mean = float(gray.mean()) / (257.0 if deep else 1.0)
            return {"height": height, "width": width, "brightness": round(mean, 4)}
    except Exception:
        return {}
