"""A log of what the inputs are like, for `pneumo monitor`: measures, never bytes nor names.

One JSON object a line: time (seconds since 1970), version, height, width (pixels), brightness (mean
gray, 0..255, as the records of training have it), score, decision, status, and for a share of them
embedding.
"""

import asyncio
import io
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from schema.errors import PneumoError
from serving.server.fleet import Version

_WAITING = 64  # images; more than these are left out of the log rather than kept in memory
_PIXELS = 80_000_000
_REDUCED = 256  # pixels; smaller images are decoded whole
Row = tuple[bytes, float, str, str]


class InputsLog:
    """Appends to a file from a thread of its own; requests never wait for it.

    Args:
      file: JSON lines.
      sample: share of images that are logged.
      embeddings: share of those that get their embedding, which costs a second pass.
      left_out: called for each image that there was no room for.

    Raises:
      PneumoError: the file cannot be written.
    """

    def __init__(
        self, file: Path, sample: float, embeddings: float, left_out: Callable[[], None]
    ) -> None:
        self.sample = sample
        self.embeddings = embeddings
        self.left_out = left_out
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = file.open("ab")
        except OSError as error:
            raise PneumoError(f"log of inputs {file} cannot be written: {error.strerror}") from None
        self._queue: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="inputs-log", daemon=True)
        self._thread.start()
        self._asking: set[asyncio.Task[None]] = set()

    def note(self, version: Version, number: int, rows: Sequence[Row]) -> None:
        """Takes up images with their answers: (bytes, score, decision, status)."""
        for image, score, decision, status in rows:
            if random.random() >= self.sample:
                continue
            line = {
                "time": round(time.time(), 3), "version": str(number), "height": None,
                "width": None, "brightness": None, "score": score, "decision": decision,
                "status": status,
            }  # fmt: skip
            if status == "OK" and "embed" in version.inputs and self._embed_this():
                task = asyncio.create_task(self._embed(version, image, line))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            else:
                self._put(line, image)

    def _embed_this(self) -> bool:
        return random.random() < self.embeddings and len(self._asking) < _WAITING

    async def _embed(self, version: Version, image: bytes, line: dict[str, Any]) -> None:
        try:
            answer = await version.ask("embed", {"image_bytes": [image]}, 1, time.time() + 30)
            if answer.outputs is not None:
                line["embedding"] = np.asarray(answer.outputs["embedding"][0])
        except Exception:  # the line without an embedding is worth something as well
            line.pop("embedding", None)
        self._put(line, image)

    def _put(self, line: dict[str, Any], image: bytes) -> None:
        try:
            self._queue.put_nowait((line, image))
        except queue.Full:
            self.left_out()

    def _work(self) -> None:
        while (taken := self._queue.get()) is not None:
            line, image = taken
            line |= measures(image) if line["status"] == "OK" else {}
            try:
                self._file.write(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
                if self._queue.empty():
                    self._file.flush()
            except OSError:
                self.left_out()

    def close(self) -> None:
        """Writes what waits, at most for a few seconds."""
        try:
            self._queue.put(None, timeout=2.0)
        except queue.Full:
            return
        self._thread.join(5.0)
        self._file.close()


def measures(image: bytes) -> dict[str, Any]:
    """Height, width and mean gray of a JPEG or PNG; nothing of an image that Pillow cannot read.

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
            deep = opened.mode.startswith("I")
            gray = np.asarray(opened if deep else opened.convert("L"), np.float64)
            mean = float(gray.mean()) / (257.0 if deep else 1.0)
            return {"height": height, "width": width, "brightness": round(mean, 4)}
    except Exception:
        return {}
