"""A log of what the inputs are like, for `pneumo monitor`: measurements, never bytes nor names.

One JSON object per line: time (seconds since 1970), version, height, width (pixels), brightness
(mean gray, 0..255, as in the training records), score, decision, status, and for a share of them
the embedding.
"""

import asyncio
import io
import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from schema.errors import PneumoError
from serving.server.models import Model
from serving.server.options import Options

_WAITING = 64  # images; further ones are left out of the log rather than kept in memory
_PIXELS = 80_000_000
_REDUCED = 256  # pixels; smaller images are decoded at full size
Row = tuple[bytes, float, str, str]  # image, score, decision, status

log = logging.getLogger("pneumo.serve")


class InputsLog:
    """Appends to a file from a thread of its own; requests never wait for it.

    Args:
      file: JSON lines.
      options: share of images that are logged, and of embeddings among them.
      left_out: called for each image that is not logged for lack of room.

    Raises:
      PneumoError: the file cannot be written.
    """

    def __init__(self, file: Path, options: Options, left_out: Callable[[], None]) -> None:
        self._options = options
        self._left_out = left_out
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file.open("ab")
        except OSError as error:
            raise PneumoError(f"cannot write the log of inputs {file}: {error.strerror}") from None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="inputs-log")
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, number: int, model: Model, rows: Sequence[Row]) -> None:
        """Logs a share of the images of one request; called on the event loop."""
        for row in rows:
            if random.random() >= self._options.log_sample:
                continue
            if len(self._tasks) >= _WAITING:
                self._left_out()
                continue
            task = asyncio.create_task(self._add(number, model, row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _add(self, number: int, model: Model, row: Row) -> None:
        image, score, decision, status = row
        line = {
            "time": round(time.time(), 3),
            "version": str(number),
            **dict.fromkeys(("height", "width", "brightness")),
            "score": score,
            "decision": decision,
            "status": status,
        }
        try:
            if status == "OK" and random.random() < self._options.log_embeddings:
                line |= await _embedding(model, image)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, self._write, line, image)
        except Exception:
            log.exception("logging an input")
            self._left_out()

    def _write(self, line: dict[str, Any], image: bytes) -> None:
        measured = measure(image) if line["status"] == "OK" else {}
        self._file.write(orjson.dumps(line | measured, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        self._file.flush()

    async def close(self) -> None:
        """Writes what waits, for at most a few seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)
        self._writer.shutdown(cancel_futures=True)
        self._file.close()


async def _embedding(model: Model, image: bytes) -> dict[str, np.ndarray]:
    """Costs a second pass through the model."""
    if "embed" not in model.signatures:
        return {}
    outputs, _ = await model.predict("embed", [image])
    return {"embedding": outputs["embedding"][0]}


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
