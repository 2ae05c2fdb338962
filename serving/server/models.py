"""The versions of the model that are served: watches the folder, loads, swaps, drains."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from serving.server.errors import Code, ServeError
from serving.server.fleet import LoadError, Version
from serving.server.versions import Found, Policy, plan, scan

log = logging.getLogger("pneumo.serve")
_REMEMBERED = 50  # versions that are over and still told about


class State(IntEnum):
    """TF Serving's states of a version, with their numbers in its messages."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Loader(Protocol):
    """What starts and ends the replicas of a version."""

    def load(self, version: int, folder: Path) -> Version:
        """Returns when it can be asked; raises LoadError."""

    def unload(self, version: Version) -> None:
        """Ends it."""


@dataclass
class Entry:
    """One version and what has become of it.

    Attributes:
      state: as TF Serving names it.
      error: why it is not served; empty if it is well.
      print: of the folder that was tried.
      loaded: to be asked, while it is available or draining.
      under_way: requests that it is answering.
    """

    state: State
    error: str = ""
    print: int = 0
    loaded: Version | None = None
    under_way: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Models:
    """The versions of one model.

    Args:
      name: of the model.
      base: folder of versions.
      policy: which are served.
      loader: starts and ends them.
      poll: seconds between looks.
      drain: seconds that requests have when their version is unloaded.
      tell: gets a line about each change.
    """

    def __init__(
        self, name: str, base: Path, policy: Policy, loader: Loader, poll: float, drain: float,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.name = name
        self.base = base
        self.policy = policy
        self.loader = loader
        self.poll = poll
        self.drain = drain
        self.tell = tell
        self.entries: dict[int, Entry] = {}
        self._before: dict[int, Found] = {}
        self._unloading: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> list[int]:
        """Versions that answer, newest first."""
        return sorted(
            (n for n, e in self.entries.items() if e.state is State.AVAILABLE), reverse=True
        )

    def status(self, version: int | None) -> dict[int, Entry]:
        """Version -> entry, newest first; of one version or of all.

        Raises:
          ServeError: NOT_FOUND.
        """
        if version is None:
            if not self.entries:
                raise ServeError(
                    Code.NOT_FOUND, f"Could not find any versions of model {self.name}"
                )
            return dict(sorted(self.entries.items(), reverse=True))
        if version not in self.entries:
            raise ServeError(
                Code.NOT_FOUND, f"Could not find version {version} of model {self.name}"
            )
        return {version: self.entries[version]}

    def check_name(self, name: str) -> None:
        """Raises ServeError NOT_FOUND where another model is meant."""
        if name != self.name:
            raise ServeError(
                Code.NOT_FOUND, f"Servable not found for request: Latest({name[:100]})"
            )

    @contextlib.asynccontextmanager
    async def use(self, version: int | None) -> AsyncIterator[tuple[int, Version]]:
        """A version that stays loaded as long as it is used.

        Raises:
          ServeError: NOT_FOUND; UNAVAILABLE where none has been loaded yet.
        """
        number = version if version is not None else next(iter(self.available), None)
        if number is None:
            raise ServeError(Code.UNAVAILABLE, f"no version of model {self.name} is loaded yet")
        entry = self.entries.get(number)
        if entry is None or entry.state is not State.AVAILABLE or entry.loaded is None:
            raise ServeError(
                Code.NOT_FOUND, f"Servable not found for request: Specific({self.name}, {number})"
            )
        entry.under_way += 1
        entry.idle.clear()
        try:
            yield number, entry.loaded
        finally:
            entry.under_way -= 1
            if not entry.under_way:
                entry.idle.set()

    async def watch(self) -> None:
        """Looks at the folder again and again; ends by being cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("looking at the folder of versions")
            await asyncio.sleep(self.poll)

    async def look(self) -> None:
        """One look: loads one version that is wanted, lets go of those that are not."""
        found = await asyncio.to_thread(scan, self.base)
        self._note_incomplete(found)
        broken = {n: e.print for n, e in self.entries.items() if e.error}
        todo = plan(found, self._before, broken, self.available, self.policy)
        self._before = found
        for number in todo.unload:
            task = asyncio.create_task(self._unload(number))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)
        for number in todo.load[:1]:
            await self._load(number, found[number])
        self._forget(found)

    def _note_incomplete(self, found: dict[int, Found]) -> None:
        for number, entry in found.items():
            rests = self._before.get(number) == entry
            known = self.entries.get(number)
            if rests and not entry.complete and (known is None or known.state is State.END):
                error = "Could not find SavedModel .pb in the folder of the version"
                self.entries[number] = Entry(State.END, error, entry.print)

    async def _load(self, number: int, found: Found) -> None:
        old = self.entries.get(number)
        if old is not None and old.state is State.UNLOADING:
            return  # at the next look
        self.entries[number] = Entry(State.LOADING, print=found.print)
        try:
            loaded = await asyncio.to_thread(self.loader.load, number, found.folder)
        except LoadError as error:
            self.entries[number] = Entry(State.END, str(error), found.print)
            still = f"; version {self.available[0]} goes on" if self.available else ""
            self.tell(f"version {number} is not served: {error}{still}")
            return
        self.entries[number] = Entry(State.AVAILABLE, print=found.print, loaded=loaded)
        self.tell(f"version {number} is served")

    async def _unload(self, number: int) -> None:
        entry = self.entries[number]
        entry.state = State.UNLOADING
        if entry.under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(entry.idle.wait(), self.drain)
        if entry.loaded is not None:
            try:
                await asyncio.to_thread(self.loader.unload, entry.loaded)
            except Exception:
                log.exception("unloading version %s", number)
        entry.loaded = None
        entry.state = State.END
        self.tell(f"version {number} is unloaded")

    def _forget(self, found: dict[int, Found]) -> None:
        over = sorted(n for n, e in self.entries.items() if e.state is State.END and n not in found)
        for number in over[:-_REMEMBERED]:
            del self.entries[number]

    async def idle(self) -> None:
        """Waits until no request is under way."""
        while any(entry.under_way for entry in self.entries.values()):
            await asyncio.sleep(0.02)
