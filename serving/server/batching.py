"""Batching queue: requests that arrive during a computation form the next batch."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.server.errors import invalid

Outputs = dict[str, np.ndarray]  # one row per image; strings are object arrays of bytes

# After a batch of several requests, the queue waits for the next requests of their clients: for a
# share of the duration of the batch, but at most _MAX_WAIT seconds. A single client never waits.
_WAIT_SHARE, _MAX_WAIT = 0.05, 0.05
# One thread for all versions: a single batch uses all cores.
_WORKER = ThreadPoolExecutor(1, thread_name_prefix="tensorflow")


@dataclass(frozen=True)
class _Item:
    signature: str
    rows: list[bytes]
    result: "asyncio.Future[tuple[Outputs, int]]"


class Batcher:
    """Merges requests of one signature and runs them in a worker thread.

    Args:
      compute: (signature, rows) -> outputs; its exceptions fail the request only.
      max_batch: maximum rows of a batch; a larger request is computed alone, undivided.
    """

    def __init__(self, compute: Callable[[str, list[bytes]], Outputs], max_batch: int) -> None:
        self._compute = compute
        self._max_batch = max_batch
        self._queue: list[_Item] = []
        self._worker: asyncio.Task[None] | None = None

    async def predict(self, signature: str, rows: list[bytes]) -> tuple[Outputs, int]:
        """Computes one request. Cancelling it while it is queued removes it from the queue.

        Returns:
          Outputs, and the rows of the batch (0 for all but the first request of a batch).

        Raises:
          ServeError: INVALID_ARGUMENT if the model raised an exception.
        """
        item = _Item(signature, rows, asyncio.get_running_loop().create_future())
        self._queue.append(item)
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
            if len(batch) > 1 and sum(len(item.rows) for item in self._queue) < self._max_batch:
                await asyncio.sleep(min(_MAX_WAIT, _WAIT_SHARE * (loop.time() - started)))

    def _next_batch(self) -> list[_Item]:
        """Takes queued requests with the signature of the oldest one, at most `max_batch` rows."""
        batch: list[_Item] = []
        remaining: list[_Item] = []
        for item in self._queue:
            rows = sum(len(other.rows) for other in batch) + len(item.rows)
            fits = not batch or (item.signature == batch[0].signature and rows <= self._max_batch)
            if not item.result.done():
                (batch if fits else remaining).append(item)
        self._queue = remaining
        return batch

    def _compute_batch(self, batch: list[_Item]) -> list[Any]:
        """Computes a batch; if that fails, each request separately."""
        rows = [row for item in batch for row in item.rows]
        try:
            outputs = self._compute(batch[0].signature, rows)
            for name, values in outputs.items():
                if len(values) != len(rows):
                    raise ValueError(f"output {name} has {len(values)} rows for {len(rows)} inputs")
        except Exception as error:
            if len(batch) > 1:
                return [self._compute_batch([item])[0] for item in batch]
            return [invalid(_first_line(error))]
        results, start = [], 0
        for item in batch:
            part = {k: v[start : start + len(item.rows)] for k, v in outputs.items()}
            results.append((part, 0 if start else len(rows)))
            start += len(item.rows)
        return results


def _first_line(error: Exception) -> str:
    """Returns the first informative line of an error; TensorFlow writes the location before it."""
    lines = [line.strip() for line in str(getattr(error, "message", "") or error).splitlines()]
    location = ("Graph execution error", "Detected at", "File ", "[[", "Stack trace")
    return next((x for x in lines if x and not x.startswith(location)), type(error).__name__)[:300]
