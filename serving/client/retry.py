"""Retries with exponential back-off and full jitter."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from serving.client.errors import RETRIED, ClientError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Retry:
    """Retry policy.

    Attributes:
      patience: seconds after which no new attempt starts; 0 means one attempt.
      base: upper bound of the first pause in seconds; it doubles with each attempt.
      cap: upper bound of any pause in seconds.
    """

    patience: float = 60.0
    base: float = 0.1
    cap: float = 10.0

    def pauses(self, uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
        """Yields pauses in seconds, uniform between 0 and a bound that doubles, without end.

        Full jitter spreads clients that failed at the same time (Brooker, "Exponential Backoff And
        Jitter", 2015).
        """
        bound = self.base
        while True:
            yield uniform(0.0, min(bound, self.cap))
            bound = min(2 * bound, self.cap)


def call(function: Callable[[], Result], retry: Retry, stop: threading.Event) -> Result:
    """Calls an idempotent function and retries transient errors until it succeeds.

    Raises:
      ClientError: a permanent error; or the last one, when the retries end or `stop` is set.
    """
    end = time.monotonic() + retry.patience
    for pause in retry.pauses():
        try:
            return function()
        except ClientError as error:
            wait = max(pause, error.retry_after)
            if error.code not in RETRIED or time.monotonic() + wait > end or stop.wait(wait):
                raise
    raise AssertionError("pauses() is endless")
