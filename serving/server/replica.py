"""One process that answers with one version of the model: a replica of Ray Serve.

Requests that arrive while the model computes are computed together next. `ray.serve.batch` is not
used: it closes a batch while the one before still runs, so that without waiting every batch is of
one request, and with waiting a single client waits each time.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from serving.server.codec import Column

# After a batch of several requests their clients come again at once: so much of the batch's time is
# spent waiting for them. A single client never waits.
LINGER_SHARE, LINGER_MOST = 0.05, 0.05


def _future() -> "asyncio.Future[Answer]":
    return asyncio.get_running_loop().create_future()


@dataclass
class Item:
    """One request in a replica.

    Attributes:
      signature: which.
      inputs: input -> rows.
      rows: how many.
      deadline: time.time() after which nobody waits for the answer.
      answer: where it goes.
    """

    signature: str
    inputs: Mapping[str, Column]
    rows: int
    deadline: float
    answer: "asyncio.Future[Answer]" = field(default_factory=_future)


@dataclass(frozen=True)
class Answer:
    """What a replica says.

    Attributes:
      outputs: output -> rows; none where the model refused.
      error: why it did.
      batch: images computed together, told to one request of each batch; 0 to the others.
    """

    outputs: dict[str, Column] | None
    error: str = ""
    batch: int = 0


def take(waiting: list[Item], max_batch: int) -> list[Item]:
    """Removes the next batch from the front: of one signature, at most max_batch rows.

    A request that is larger by itself goes alone, in one piece.
    """
    first = waiting.pop(0)
    batch, rows = [first], first.rows
    for item in list(waiting):
        if item.signature == first.signature and rows + item.rows <= max_batch:
            waiting.remove(item)
            batch.append(item)
            rows += item.rows
    return batch


def join(batch: list[Item]) -> dict[str, Column]:
    """Inputs of several requests, one below the other."""
    joined: dict[str, Column] = {}
    for name, first in batch[0].inputs.items():
        if isinstance(first, np.ndarray):
            joined[name] = np.concatenate([item.inputs[name] for item in batch])
        else:
            joined[name] = [value for item in batch for value in item.inputs[name]]
    return joined


def split(outputs: Mapping[str, Column], batch: list[Item]) -> Iterator[dict[str, Column]]:
    """The rows of each request again.

    Raises:
      ValueError: an output has not one row for each of the inputs.
    """
    rows = sum(item.rows for item in batch)
    for name, values in outputs.items():
        if len(values) != rows:
            raise ValueError(f"output {name} has {len(values)} rows for {rows} images")
    start = 0
    for item in batch:
        yield {name: values[start : start + item.rows] for name, values in outputs.items()}
        start += item.rows


class Replica:
    """Loads, proves and asks one version; Ray Serve makes as many as there are to be.

    Args:
      folder: of the SavedModel.
      max_batch: images computed together.
      threads: of TensorFlow.
      told: file for the reason, where it cannot be served.

    Raises:
      Exception: the version cannot be served.
    """

    def __init__(self, folder: str, max_batch: int, threads: int, told: str) -> None:
        from serving.server.saved import Saved

        started = time.monotonic()
        _keep_to_loopback()
        try:
            self.model = Saved(Path(folder), threads)
            self.model.prove()
        except Exception as error:
            line = f"{type(error).__name__}: {error}".splitlines()[0][:500]
            Path(told).write_text(line.replace(folder, Path(folder).name))
            raise
        self.seconds = time.monotonic() - started
        self.max_batch = max_batch
        self.waiting: list[Item] = []
        self.more = asyncio.Event()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.worker: asyncio.Task[None] | None = None

    def describe(self) -> dict[str, Any]:
        """Signatures, metadata and facts of the model."""
        return {**self.model.describe(), "seconds": round(self.seconds, 3), "pid": os.getpid()}

    async def predict(
        self, signature: str, inputs: Mapping[str, Column], rows: int, deadline: float
    ) -> Answer:
        """Answers one request, perhaps together with others."""
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        item = Item(signature, inputs, rows, deadline)
        self.waiting.append(item)
        self.more.set()
        return await item.answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        linger, expected = 0.0, 1
        while True:
            await self.more.wait()
            if linger and len(self.waiting) < expected:
                await self._gather(expected, linger)
            self._drop_late()
            batch = take(self.waiting, self.max_batch) if self.waiting else []
            if self.waiting:
                self.more.set()
            else:
                self.more.clear()
            if not batch:
                continue
            at = time.monotonic()
            answers = await loop.run_in_executor(self.thread, self._ask, batch)
            for item, answer in zip(batch, answers, strict=True):
                if not item.answer.done():
                    item.answer.set_result(answer)
            expected = len(batch) + len(self.waiting)
            linger = min(LINGER_MOST, LINGER_SHARE * (time.monotonic() - at))
            if expected == 1:
                linger = 0.0

    def _drop_late(self) -> None:
        """Nobody waits any more for some: their clients went away, or their time is over."""
        now = time.time()
        for item in self.waiting:
            if item.deadline <= now and not item.answer.done():
                item.answer.set_result(Answer(None, "the deadline is over"))
        self.waiting = [item for item in self.waiting if not item.answer.done()]

    async def _gather(self, expected: int, linger: float) -> None:
        end = time.monotonic() + linger
        while len(self.waiting) < expected and (left := end - time.monotonic()) > 0:
            self.more.clear()
            try:
                await asyncio.wait_for(self.more.wait(), left)
            except TimeoutError:
                return

    def _ask(self, batch: list[Item]) -> list[Answer]:
        """Asks the model; where a batch fails, each request by itself."""
        rows = sum(item.rows for item in batch)
        try:
            outputs = self.model.ask(batch[0].signature, join(batch))
            parts = list(split(outputs, batch)) if len(batch) > 1 else [outputs]
        except Exception as error:
            if len(batch) > 1:
                return [self._ask([item])[0] for item in batch]
            return [Answer(None, _line(error), rows)]
        return [Answer(dict(part), "", 0 if i else rows) for i, part in enumerate(parts)]


def _keep_to_loopback() -> None:
    """Ray's server for calls of a replica listens everywhere, and whoever reaches it runs code."""
    from ray.serve._private import replica

    add = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: add(
        server, address.replace("[::]", "127.0.0.1")
    )


def _line(error: Exception) -> str:
    """The line that tells most of an error of TensorFlow, which begins with where it arose."""
    text = str(getattr(error, "message", "") or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    where = ("Graph execution error", "Detected at", "File ", "[[", "Stack trace")
    return next((line for line in lines if not line.startswith(where)), type(error).__name__)[:300]
