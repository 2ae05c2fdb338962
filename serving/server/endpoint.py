"""Request handling shared by both protocols: limits, deadline, prediction, metrics, input log."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

from grpc import StatusCode

from serving.server.batching import Outputs
from serving.server.errors import ServeError, invalid
from serving.server.inputs_log import InputsLog
from serving.server.metrics import ServerMetrics
from serving.server.models import ModelVersions
from serving.server.options import ServerOptions
from serving.server.saved_model import SavedModel


class Endpoint:
    """Serves predict requests with the versions of one model."""

    def __init__(
        self,
        options: ServerOptions,
        models: ModelVersions,
        metrics: ServerMetrics,
        log: InputsLog | None = None,
    ) -> None:
        self.options, self.models, self.metrics, self._log = options, models, metrics, log
        self._active = 0

    @contextlib.contextmanager
    def observe(self, protocol: str, method: str) -> Iterator[None]:
        """Counts and times a request."""
        code, started = StatusCode.INTERNAL, time.perf_counter()
        try:
            yield
            code = StatusCode.OK
        except ServeError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = StatusCode.CANCELLED
            raise
        finally:
            self.metrics.requests.labels(protocol, method, code.name).inc()
            self.metrics.seconds.labels(protocol, method).observe(time.perf_counter() - started)

    @contextlib.asynccontextmanager
    async def admit(self, name: str, number: int | None) -> AsyncIterator[tuple[int, SavedModel]]:
        """Yields number and model of the version for a predict request.

        Raises:
          ServeError: UNAVAILABLE if too many requests are active; see also `ModelVersions.use`.
        """
        if self._active >= self.options.max_requests:
            raise ServeError(StatusCode.UNAVAILABLE, "too many concurrent requests; retry later")
        self._active += 1
        self.metrics.active.inc()
        try:
            async with self.models.use(name, number) as used:
                yield used
        finally:
            self._active -= 1
            self.metrics.active.dec()

    async def predict(
        self, used: tuple[int, SavedModel], signature: str, images: list[bytes], seconds: float = 0
    ) -> Outputs:
        """Computes the outputs of a request.

        Args:
          used: number and model from `admit`.
          signature: name of the signature.
          images: one per row.
          seconds: deadline of the client, 0 for none; the server's deadline applies as well.

        Raises:
          ServeError: INVALID_ARGUMENT, DEADLINE_EXCEEDED.
        """
        limit = self.options.max_images
        if not 0 < len(images) <= limit:
            raise invalid(f"a request must have 1 to {limit} rows, not {len(images)}")
        seconds = min(self.options.deadline, seconds or self.options.deadline)
        try:
            async with asyncio.timeout(seconds):
                outputs, batch = await used[1].predict(signature, images)
        except TimeoutError:
            message = f"no result within {seconds:.3g} seconds"
            raise ServeError(StatusCode.DEADLINE_EXCEEDED, message) from None
        if batch:
            self.metrics.batch.observe(batch)
        if signature == "serving_default" and "decision" in outputs:
            decisions = [value.decode() for value in outputs["decision"]]
            values = outputs.get("status", [b"OK"] * len(images))
            statuses = [value.decode() for value in values]
            for labels in zip(decisions, statuses, strict=True):
                self.metrics.images.labels(*labels).inc()
            if self._log is not None:
                scores = outputs["score"].tolist()
                self._log.add(*used, zip(images, scores, decisions, statuses, strict=True))
        return outputs
