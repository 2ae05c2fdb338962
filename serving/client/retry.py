"""When to try again: exponential back-off with full jitter."""

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
    """How patiently a call is tried again.

    Attributes:
      patience: seconds after which no new try is begun; 0 means one try.
      base: longest first pause in seconds; it doubles with each try.
      cap: longest pause in seconds.
    """

    patience: float = 60.0
    base: float = 0.1
    cap: float = 10.0

    def pauses(self, uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
        """Pauses in seconds: uniform between 0 and a bound that doubles, without end.

        Full jitter spreads clients that failed together better than a fixed pause does: Brooker,
        "Exponential Backoff And Jitter", 2015.
        """
        bound = self.base
        while True:
            yield uniform(0.0, min(bound, self.cap))
            bound = min(2 * bound, self.cap)


def call(ask: Callable[[], Result], retry: Retry, stop: threading.Event) -> Result:
    """Calls until it answers, fails for good, patience ends, or `stop` is set.

    Only for calls that may be repeated without harm, as all of the client's may.

    Raises:
      ClientError: the last failure.
    """
    end = time.monotonic() + retry.patience
    for pause in retry.pauses():
        try:
            return ask()
        except ClientError as error:
            wait = max(pause, error.retry_after)
            if error.code not in RETRIED or time.monotonic() + wait > end or stop.wait(wait):
                raise
    raise AssertionError("pauses have no end")
