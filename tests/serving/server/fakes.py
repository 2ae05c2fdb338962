"""Fake model and version manager without TensorFlow."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from serving.server.models import ModelVersions, VersionState
from serving.server.options import ServerOptions
from serving.server.versions import VersionPolicy


class FakeModel:
    """Waits until `gate` is set, then returns a decision for each row."""

    signatures = {"serving_default": "image_bytes"}
    metadata = None

    def __init__(self, folder: Path) -> None:
        self.info: dict[str, Any] = {"folder": folder.name}
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls = 0

    async def predict(self, _: str, rows: list[bytes]) -> tuple[dict[str, np.ndarray], int]:
        self.calls += 1
        await self.gate.wait()
        values = np.array([b"POSITIVE"] * len(rows), object)
        return {"decision": values, "score": np.ones(len(rows), np.float32)}, len(rows)


async def load(folder: Path, _: ServerOptions) -> FakeModel:
    if (folder / "broken").exists():
        raise RuntimeError("it is broken")
    return FakeModel(folder)


def make_version(folder: Path, number: int, name: str = "saved_model.pb") -> Path:
    version = folder / str(number)
    version.mkdir(parents=True, exist_ok=True)
    (version / name).write_bytes(b"x")
    return version


def manager(
    folder: Path, policy: str = "latest", **settings: Any
) -> tuple[ModelVersions, list[str]]:
    """Returns a version manager and the list of lines that it reports."""
    lines: list[str] = []
    options = ServerOptions(folder, policy=VersionPolicy.parse(policy), **settings)
    return ModelVersions(options, load, lines.append), lines


async def settle(models: ModelVersions, polls: int = 4) -> None:
    """Polls the folder several times; waits until versions without requests are unloaded."""
    for _ in range(polls):
        await models.poll()
        await asyncio.sleep(0.03)
    # Garbage collection of a large process can take longer than the polls.
    while any(
        version.state is VersionState.UNLOADING and version.model is None
        for version in models.versions.values()
    ):
        await asyncio.sleep(0.01)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(30):
            return await main

    return asyncio.run(limited())
