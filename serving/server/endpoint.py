"""What both protocols do with a request: limits, deadline, a replica, retries, numbers."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.server.codec import Column
from serving.server.errors import Code, ServeError
from serving.server.fleet import ReplicaLost, Version
from serving.server.metrics import Metrics
from serving.server.models import Models
from serving.server.options import Limits
from serving.server.replica import Answer

if TYPE_CHECKING:
    from serving.server.inputs_log import InputsLog

_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds before a request is asked again
_DOUBTFUL = 3  # tries where the replica may be well and the request at fault


@dataclass
class Call:
    """One request as the numbers see it; its code is set when it fails."""

    code: str = "OK"


class Endpoint:
    """Answers requests with the versions of one model.

    Args:
      models: the versions.
      limits: for clients.
      metrics: where numbers go.
      inputs: log of inputs, or none.
    """

    def __init__(
        self, models: Models, limits: Limits, metrics: Metrics, inputs: "InputsLog | None" = None
    ) -> None:
        self.models = models
        self.limits = limits
        self.metrics = metrics
        self.inputs = inputs
        self.stopping = False
        self.under_way = 0

    @contextlib.contextmanager
    def counted(self, protocol: str, method: str) -> Iterator[Call]:
        """Counts and times a request."""
        call, at = Call(), time.perf_counter()
        self.metrics.under_way.inc()
        try:
            yield call
        except ServeError as error:
            call.code = str(error.code)
            raise
        except asyncio.CancelledError:
            call.code = "CANCELLED"
            raise
        except Exception:
            call.code = str(Code.INTERNAL)
            raise
        finally:
            self.metrics.under_way.dec()
            self.metrics.requests.labels(protocol, method, call.code).inc()
            self.metrics.seconds.labels(protocol, method).observe(time.perf_counter() - at)

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """A place among the requests under way.

        Raises:
          ServeError: UNAVAILABLE, all places are taken or the server is about to stop.
        """
        if self.stopping:
            raise ServeError(Code.UNAVAILABLE, "the server is about to stop; ask again")
        if self.under_way >= self.limits.requests:
            raise ServeError(Code.UNAVAILABLE, "too many requests are under way; ask again later")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def predict(
        self,
        number: int,
        version: Version,
        signature: str,
        inputs: Mapping[str, Column],
        rows: int,
        deadline: float | None = None,
    ) -> dict[str, Column]:
        """Asks until there is an answer: predictions may be repeated without harm.

        Args:
          number: of the version.
          version: from `models.use`.
          signature: which.
          inputs: input -> rows.
          rows: how many.
          deadline: seconds that the client gives; the server's own limit holds as well.

        Raises:
          ServeError: INVALID_ARGUMENT (too many rows, or the model refused), DEADLINE_EXCEEDED,
            INTERNAL.
        """
        if rows > self.limits.images:
            raise ServeError(
                Code.INVALID_ARGUMENT,
                f"{rows} rows in one request; at most {self.limits.images} are taken",
            )
        seconds = min(self.limits.deadline, deadline or self.limits.deadline)
        end, pause, doubtful = time.time() + seconds, _PAUSE, 0
        while True:
            try:
                answer: Answer = await version.ask(signature, inputs, rows, end)
                break
            except TimeoutError:
                raise ServeError(
                    Code.DEADLINE_EXCEEDED, f"no answer within {seconds:.3g} seconds"
                ) from None
            except ReplicaLost as error:
                doubtful += not error.certain
                if doubtful > _DOUBTFUL:
                    raise ServeError(Code.INTERNAL, "the model could not be asked") from error
                self.metrics.retries.inc()
                await asyncio.sleep(max(0.0, min(pause, end - time.time())))
                pause = min(2 * pause, _LONGEST_PAUSE)
        if answer.batch:
            self.metrics.batch.observe(answer.batch)
        if answer.outputs is None:
            raise ServeError(Code.INVALID_ARGUMENT, answer.error)
        self._note(number, version, signature, inputs, answer.outputs)
        return answer.outputs

    def _note(
        self, number: int, version: Version, signature: str, inputs: Mapping[str, Column],
        outputs: Mapping[str, Column],
    ) -> None:  # fmt: skip
        if signature != "serving_default" or "decision" not in outputs:
            return
        decisions = [_text(value) for value in outputs["decision"]]
        statuses = [_text(value).split(":")[0] for value in outputs.get("status", [])]
        statuses = statuses or ["OK"] * len(decisions)
        for decision, status in zip(decisions, statuses, strict=True):
            self.metrics.images.labels(decision, status).inc()
        if self.inputs is not None:
            images = next(iter(inputs.values()))
            scores = [float(value) for value in outputs["score"]]
            self.inputs.note(
                version, number, list(zip(images, scores, decisions, statuses, strict=True))
            )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
