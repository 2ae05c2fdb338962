"""Progress reports of a node, as log records.

The local runner shows them as a progress bar; on a cluster they appear in the log of the task.
"""

import logging
import time
from dataclasses import dataclass, field

log = logging.getLogger("pneumo.progress")


@dataclass
class ProgressReporter:
    """Logs the progress of each step of a node at most every `every` seconds."""

    every: float = 1.0
    _last: dict[str, float] = field(default_factory=dict)
    _start: dict[str, float] = field(default_factory=dict)
    # Time of the previous call, which is the start of the next step.
    _previous: float = field(default_factory=time.monotonic)

    def __call__(self, step: str, done: int, total: int = 0) -> None:
        """Reports that `done` images of `step` are finished; total 0: unknown."""
        now = time.monotonic()
        start = self._start.setdefault(step, self._previous)
        self._previous = now
        if now - self._last.get(step, -self.every) < self.every and done != total:
            return
        self._last[step] = now
        rate = done / (now - start) if now > start else 0.0
        suffix = f"/{total}" if total else ""
        progress = (step, done, total)
        log.info("%s %d%s images, %.1f/s", step, done, suffix, rate, extra={"pneumo": progress})
