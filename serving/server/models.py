"""Version manager: watches the model folder, loads and unloads versions, counts their requests."""

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
_MAX_ENDED = 50  # removed versions that are still reported


class VersionState(IntEnum):
    """States of a version, as in TensorFlow Serving."""

    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class ServedVersion:
    """A version and its state.

    Attributes:
      state: current state.
      fingerprint: fingerprint of the folder that was loaded.
      error: why the version is not served; empty if there is no error.
      model: set while the version is available or unloading.
      requests: number of active requests.
    """

    state: VersionState
    fingerprint: int
    error: str = ""
    model: SavedModel | None = None
    requests: int = 0


class ModelVersions:
    """The versions of one model.

    Args:
      options: options of the server.
      load: loads the version in a folder; an exception means that it is not served.
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
        """Available versions, newest first."""
        numbers = (n for n, v in self.versions.items() if v.state is VersionState.AVAILABLE)
        return sorted(numbers, reverse=True)

    def status(self, name: str, number: int | None) -> dict[int, ServedVersion]:
        """Returns version -> state, newest first, of one version or of all.

        Raises:
          ServeError: NOT_FOUND.
        """
        chosen = [n for n in self.versions if number in (None, n)]
        if name != self.name or not chosen:
            which = "any versions" if number is None else f"version {number}"
            raise _not_found(f"Could not find {which} of model {name[:100]}")
        return {n: self.versions[n] for n in sorted(chosen, reverse=True)}

    @contextlib.asynccontextmanager
    async def use(self, name: str, number: int | None) -> AsyncIterator[tuple[int, SavedModel]]:
        """Yields a version (default: the newest), which stays loaded within the context.

        Raises:
          ServeError: NOT_FOUND, or UNAVAILABLE if no version is loaded yet.
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
        """Polls the model folder until cancelled."""
        while True:
            try:
                await self.poll()
            except Exception:
                log.exception("polling the model folder failed")
            await asyncio.sleep(self._options.poll_seconds)

    async def poll(self) -> None:
        """Applies the version policy: loads at most one new version, then unloads obsolete ones."""
        folders = await asyncio.to_thread(scan, self._options.model_dir)
        broken = {n: v.fingerprint for n, v in self.versions.items() if v.error}
        load, unload = plan(folders, self._previous, broken, self.available, self._options.policy)
        self._previous = folders
        for number in unload:
            task = asyncio.create_task(self._unload(self.versions[number], number))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)
        for number in load[:1]:
            old = self.versions.get(number)
            if old is None or old.state is VersionState.END:
                await self._load_version(number, folders[number])
        ended = (
            n for n, v in self.versions.items() if v.state is VersionState.END and n not in folders
        )
        for number in sorted(ended)[:-_MAX_ENDED]:
            del self.versions[number]

    async def _load_version(self, number: int, folder: VersionFolder) -> None:
        version = self.versions[number] = ServedVersion(VersionState.LOADING, folder.fingerprint)
        try:
            version.model = await self._load(folder.path, self._options)
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
