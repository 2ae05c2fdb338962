"""The version manager: watches the folder, loads and unloads versions, counts their requests."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from grpc import StatusCode

from serving.server.errors import ServeError
from serving.server.options import ServerOptions
from serving.server.saved_model import SavedModel
from serving.server.versions import VersionFolder, plan, scan

log = logging.getLogger("pneumo.serve")
_MAX_ENDED = 50  # versions that are gone and still reported


class VersionState(IntEnum):
    """TF Serving's states of a version."""

    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class ServedVersion:
    """One version.

    Attributes:
      state: see VersionState.
      fingerprint: of the folder that was loaded.
      error: why it is not served; empty if it is well.
      model: while it is available or unloading.
      requests: under way.
    """

    state: VersionState
    fingerprint: int
    error: str = ""
    model: SavedModel | None = None
    requests: int = 0


class ModelVersions:
    """The versions of one model.

    Args:
      options: of the server.
      load: loads the version in a folder; what it raises is the reason not to serve it.
      report: called with a line about each change.
    """

    def __init__(
        self,
        options: ServerOptions,
        load: Callable[[Path, ServerOptions], Awaitable[SavedModel]],
        report: Callable[[str], None],
    ) -> None:
        self.name = options.name
        self.versions: dict[int, ServedVersion] = {}
        self._options, self._load, self._report = options, load, report
        self._previous: dict[int, VersionFolder] = scan(options.model_dir)
        self._unloading: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> list[int]:
        """Versions that answer requests, newest first."""
        ready = (n for n, v in self.versions.items() if v.state is VersionState.AVAILABLE)
        return sorted(ready, reverse=True)

    def status(self, name: str, number: int | None) -> dict[int, ServedVersion]:
        """Version -> state, newest first; of one or of all. Raises ServeError NOT_FOUND."""
        chosen = [n for n in self.versions if number in (None, n)]
        if name != self.name or not chosen:
            what = "any versions" if number is None else f"version {number}"
            raise _not_found(f"Could not find {what} of model {name[:100]}")
        return {n: self.versions[n] for n in sorted(chosen, reverse=True)}

    @contextlib.asynccontextmanager
    async def use(self, name: str, number: int | None) -> AsyncIterator[tuple[int, SavedModel]]:
        """A version that stays loaded within the context; the newest one by default.

        Raises:
          ServeError: NOT_FOUND; UNAVAILABLE if no version is loaded yet.
        """
        if name != self.name:
            raise _not_found(f"Servable not found for request: Latest({name[:100]})")
        if number is None and not self.available:
            raise ServeError(StatusCode.UNAVAILABLE, f"no version of model {name} is loaded yet")
        number = self.available[0] if number is None else number
        version = self.versions.get(number)
        if version is None or version.model is None or version.state is not VersionState.AVAILABLE:
            raise _not_found(f"Servable not found for request: Specific({name}, {number})")
        version.requests += 1
        try:
            yield number, version.model
        finally:
            version.requests -= 1

    async def watch(self) -> None:
        """Looks at the folder until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("watching the folder of versions")
            await asyncio.sleep(self._options.poll_seconds)

    async def look(self) -> None:
        """Loads at most one version that is wanted, then unloads those that are not."""
        found = await asyncio.to_thread(scan, self._options.model_dir)
        broken = {n: v.fingerprint for n, v in self.versions.items() if v.error}
        load, unload = plan(found, self._previous, broken, self.available, self._options.policy)
        self._previous = found
        for number in unload:
            task = asyncio.create_task(self._unload(self.versions[number], number))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)
        for number in load[:1]:
            old = self.versions.get(number)
            if old is None or old.state is VersionState.END:
                await self._load_version(number, found[number])
        ended = (
            n for n, v in self.versions.items() if v.state is VersionState.END and n not in found
        )
        for number in sorted(ended)[:-_MAX_ENDED]:
            del self.versions[number]

    async def _load_version(self, number: int, found: VersionFolder) -> None:
        version = self.versions[number] = ServedVersion(VersionState.LOADING, found.fingerprint)
        try:
            version.model = await self._load(found.folder, self._options)
        except Exception as error:
            version.state, version.error = VersionState.END, str(error)
            still = f"; version {self.available[0]} is still served" if self.available else ""
            self._report(f"version {number} is not served: {error}{still}")
            return
        version.state = VersionState.AVAILABLE
        self._report(f"version {number} is served")

    async def _unload(self, version: ServedVersion, number: int) -> None:
        version.state = VersionState.UNLOADING
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.drain_seconds):
                while version.requests:
                    await asyncio.sleep(0.02)
        version.model = None
        await asyncio.to_thread(gc.collect)
        version.state = VersionState.END
        self._report(f"version {number} is unloaded")


def _not_found(message: str) -> ServeError:
    return ServeError(StatusCode.NOT_FOUND, message)
