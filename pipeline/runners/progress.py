"""Progress display of a run: one line per finished node, and the status of the current node."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from pipeline.runners.local import NodeResult


class RunProgress(logging.Handler):
    """Draws a live status on a terminal; prints plain lines otherwise.

    It is a logging handler because nodes report progress through the logger `pneumo.progress`.
    """

    def __init__(self, out: TextIO, every: float = 15.0) -> None:
        """Builds the display.

        Args:
          out: where to draw.
          every: seconds between progress lines if `out` is not a terminal.
        """
        from rich.console import Console

        super().__init__(logging.INFO)
        self._console = Console(file=out, highlight=False)
        self._live = self._console.is_terminal
        self._status = self._console.status("") if self._live else None
        self._every = every
        self._node = ("", 0, 0)
        self._started = self._printed = 0.0

    def __enter__(self) -> "RunProgress":
        logging.getLogger("pneumo.progress").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("pneumo.progress").removeHandler(self)
        if self._status:
            self._status.stop()

    def print_line(self, text: str) -> None:
        """Prints a line above the status."""
        self._console.print(text, soft_wrap=True, markup=False)

    @contextlib.contextmanager
    def ingest_progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Shows the progress of ingest; yields a function of phase, done and total."""
        self.start_node("Ingest", 0, 0)
        phases: dict[str, float] = {}

        def count(phase: str, done: int, total: int) -> None:
            elapsed = time.monotonic() - phases.setdefault(phase, time.monotonic())
            rate = f", {done / elapsed:.0f}/s" if elapsed > 0 and done else ""
            self._progress(f"ingest: {phase} {done}/{total}{rate}")

        yield count
        if self._status:
            self._status.stop()

    def start_node(self, name: str, number: int, total: int) -> None:
        """Shows the node that starts."""
        self._node = (name, number, total)
        self._started = self._printed = time.monotonic()
        if self._status:
            self._status.update(f"{number:>2}/{total} {name}")
            self._status.start()

    def finish_node(self, result: NodeResult) -> None:
        """Prints the line of a finished node."""
        _, number, total = self._node
        if self._status:
            self._status.stop()
        how = "cached" if result.cached else f"{result.seconds:7.1f} s"
        self.print_line(
            f"{number:>2}/{total} {result.name:<22} {how:>9}   peak {result.peak_rss_mib:,.0f} MiB"
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a progress record of the current node."""
        name, number, total = self._node
        elapsed = time.monotonic() - self._started
        self._progress(f"{number:>2}/{total} {name}: {record.getMessage()} ({elapsed:.0f} s)")

    def _progress(self, line: str) -> None:
        if self._status:
            self._status.update(line)
        elif time.monotonic() - self._printed >= self._every:
            self._printed = time.monotonic()
            self.print_line("   " + line)
