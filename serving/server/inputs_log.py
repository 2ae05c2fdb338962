"""A log of what the inputs are like, for `pneumo monitor`: measurements, never bytes nor names.

One JSON object per line: time (seconds since 1970), version, height, width (pixels), brightness
(mean gray, 0..255, as in the training records), score, decision, status; and `embedding` for some.
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
from serving.server.options import ServerOptions
from serving.server.saved_model import SavedModel

_WAITING = 64  # images; further ones are left out of the log rather than kept in memory
_PIXELS = 80_000_000
_REDUCED = 256  # pixels; smaller images are decoded at full size
Row = tuple[bytes, float, str, str]
_KEYS = ("time", "version", "height", "width", "brightness", "score", "decision", "status")


class InputsLog:
    """Appends to a file from a thread of its own; requests never wait for it.

    Args:
      options: file, share of images that are logged, share of those with their embedding, which
        costs a second pass of the model.
      left_out: called for each image that there was no room for.

    Raises:
      PneumoError: the file cannot be written.
    """

    def __init__(self, options: ServerOptions, left_out: Callable[[], None]) -> None:
        self._options, self._left_out = options, left_out
        file = Path(options.log_inputs or "")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file.open("ab")
        except OSError as error:
            raise PneumoError(f"cannot write the log of inputs {file}: {error.strerror}") from None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="inputs-log")
        self._room = threading.Semaphore(_WAITING)

    def add(self, number: int, model: SavedModel, rows: Iterable[Row]) -> None:
        """Logs a share of the rows (image, score, decision, status) of one request."""
        for image, *row in rows:
            if random.random() >= self._options.log_sample:
                continue
            if not self._room.acquire(blocking=False):
                self._left_out()
                continue
            values = (round(time.time(), 3), str(number), None, None, None, *row)
            line = dict(zip(_KEYS, values, strict=True))
            embedding = None
            wanted = line["status"] == "OK" and "embed" in model.signatures
            if wanted and random.random() < self._options.log_embeddings:
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
            self._left_out()
        finally:
            self._room.release()

    def close(self) -> None:
        """Writes what waits."""
        self._writer.shutdown()
        self._file.close()


def measure(image: bytes) -> dict[str, Any]:
    """Height, width and mean gray of a JPEG or PNG; empty for what Pillow cannot read.

    A large JPEG is decoded at an eighth of its size, which leaves the mean as it is.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image), formats=("JPEG", "PNG")) as opened:
            width, height = opened.size
            if width * height > _PIXELS:
                return {"height": height, "width": width}
            if min(width, height) >= _REDUCED:
                opened.draft("L", (width // 8, height // 8))
            deep = opened.mode.startswith("I")  # 16 bits
            gray = np.asarray(opened if deep else opened.convert("L"), np.float64)
            mean = float(gray.mean()) / (257.0 if deep else 1.0)
            return {"height": height, "width": width, "brightness": round(mean, 4)}
    except Exception:
        return {}
