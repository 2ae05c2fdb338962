"""A batching queue: requests that arrive while the model computes are computed together next."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.server.errors import invalid

Outputs = dict[str, np.ndarray]  # one entry per row; strings are object arrays of bytes

# After a batch of several requests their clients send the next ones at once. The queue waits for
# them, a share of the time that the batch took; a single client never waits.
_WAIT_SHARE, _MAX_WAIT = 0.05, 0.05
# One for all versions: a batch occupies all cores by itself.
_WORKER = ThreadPoolExecutor(1, thread_name_prefix="tensorflow")


@dataclass(frozen=True)
class _Item:
    signature: str
    rows: list[bytes]
    result: "asyncio.Future[tuple[Outputs, int]]"


class Batcher:
    """Merges requests of one signature and runs them in a worker thread.

    Args:
      compute: signature, rows -> outputs; what it raises concerns the request, not the server.
      max_batch: rows of a batch; a larger request is computed alone, in one piece.
    """

    def __init__(self, compute: Callable[[str, list[bytes]], Outputs], max_batch: int) -> None:
        self._compute = compute
        self._max_batch = max_batch
        self._waiting: list[_Item] = []
        self._worker: asyncio.Task[None] | None = None

    async def predict(self, signature: str, rows: list[bytes]) -> tuple[Outputs, int]:
        """Computes one request; if cancelled while it waits, it is not computed.

        Returns:
          Its outputs; and the rows computed together, 0 for all but one request of a batch.

        Raises:
          ServeError: INVALID_ARGUMENT, the model raised.
        """
        item = _Item(signature, rows, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run())
        return await item.result

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next_batch():
            started = loop.time()
            results = await loop.run_in_executor(_WORKER, self._compute_batch, batch)
            for item, result in zip(batch, results, strict=True):
                if item.result.done():  # cancelled meanwhile
                    continue
                if isinstance(result, Exception):
                    item.result.set_exception(result)
                else:
                    item.result.set_result(result)
            if len(batch) > 1 and sum(len(item.rows) for item in self._waiting) < self._max_batch:
                await asyncio.sleep(min(_MAX_WAIT, _WAIT_SHARE * (loop.time() - started)))

    def _next_batch(self) -> list[_Item]:
        """Removes requests of the oldest one's signature, at most `max_batch` rows."""
        batch: list[_Item] = []
        rest: list[_Item] = []
        for item in self._waiting:
            rows = sum(len(other.rows) for other in batch) + len(item.rows)
            fits = not batch or (item.signature == batch[0].signature and rows <= self._max_batch)
            if not item.result.done():
                (batch if fits else rest).append(item)
        self._waiting = rest
        return batch

    def _compute_batch(self, batch: list[_Item]) -> list[Any]:
        """Results of a batch; if it fails, of each request by itself."""
        rows = [row for item in batch for row in item.rows]
        try:
            outputs = self._compute(batch[0].signature, rows)
            for name, values in outputs.items():
                if len(values) != len(rows):
                    raise ValueError(f"output {name} has {len(values)} rows for {len(rows)} inputs")
        except Exception as error:
            if len(batch) > 1:
                return [self._compute_batch([item])[0] for item in batch]
            return [invalid(_line(error))]
        results, start = [], 0
        for item in batch:
            part = {k: v[start : start + len(item.rows)] for k, v in outputs.items()}
            results.append((part, 0 if start else len(rows)))
            start += len(item.rows)
        return results


def _line(error: Exception) -> str:
    """The most telling line of an error; TensorFlow's begin with where they arose."""
    lines = [line.strip() for line in str(getattr(error, "message", "") or error).splitlines()]
    where = ("Graph execution error", "Detected at", "File ", "[[", "Stack trace")
    return next((x for x in lines if x and not x.startswith(where)), type(error).__name__)[:300]
