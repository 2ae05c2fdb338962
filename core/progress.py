"""How a node says how far it is.

A node logs; whoever runs the graph may listen. On a laptop the runner shows a bar, on a cluster the
lines land in the log of the task.
"""

import logging
import time
from dataclasses import dataclass, field

log = logging.getLogger("pneumo.progress")


@dataclass
class ProgressReporter:
    """Counts the items of one step and reports at most every `every` seconds."""

    every: float = 1.0
    _last: dict[str, float] = field(default_factory=dict)
    _start: dict[str, float] = field(default_factory=dict)
    _before: float = field(default_factory=time.monotonic)  # the last call: a step starts there

    def __call__(self, what: str, done: int, total: int = 0) -> None:
        """Reports that `done` items of `what` are finished; total 0 means not known."""
        now = time.monotonic()
        start = self._start.setdefault(what, self._before)
        self._before = now
        if now - self._last.get(what, -self.every) < self.every and done != total:
            return
        self._last[what] = now
        rate = done / (now - start) if now > start else 0.0
        of = f"/{total}" if total else ""
        log.info(
            "%s %d%s images, %.1f/s", what, done, of, rate, extra={"pneumo": (what, done, total)}
        )
