"""The version manager, with a loader in place of TensorFlow."""

import asyncio
import shutil
from pathlib import Path

import pytest
from grpc import StatusCode

from serving.server.errors import ServeError
from serving.server.models import VersionState
from tests.serving.server.fakes import FakeModel, make_version, manager, run, settle


def test_newest_version_replaces_the_older_one(tmp_path: Path) -> None:
    async def main() -> None:
        make_version(tmp_path, 1)
        models, lines = manager(tmp_path)
        await models.poll()  # a version that exists at startup needs no second poll
        assert models.available == [1]
        make_version(tmp_path, 2)
        await models.poll()
        assert models.available == [1]  # may still be incomplete
        await models.poll()
        assert models.available == [2, 1]
        await settle(models)
        assert models.available == [2]
        assert models.versions[1].state is VersionState.END
        assert models.versions[1].model is None
        expected = ["version 1 is served", "version 2 is served", "version 1 is unloaded"]
        assert lines == expected

    run(main())


def test_unloading_waits_for_active_requests(tmp_path: Path) -> None:
    async def main() -> None:
        make_version(tmp_path, 1)
        models, _ = manager(tmp_path)
        await settle(models)
        async with models.use(models.name, None) as (number, model):
            make_version(tmp_path, 2)
            await settle(models)
            assert models.available == [2]
            version = models.versions[number]
            assert version.state is VersionState.UNLOADING
            assert version.model is model
            with pytest.raises(ServeError, match="not found"):  # no new requests
                async with models.use(models.name, 1):
                    pass
        await settle(models)
        assert version.state is VersionState.END
        assert version.model is None

    run(main())


def test_unloading_waits_at_most_drain_seconds(tmp_path: Path) -> None:
    async def main() -> None:
        make_version(tmp_path, 1)
        models, _ = manager(tmp_path, drain_seconds=0.05)
        await settle(models)
        async with models.use(models.name, None):
            make_version(tmp_path, 2)
            await settle(models, polls=8)
            assert models.versions[1].state is VersionState.END

    run(main())


def test_broken_version_is_not_served(tmp_path: Path) -> None:
    async def main() -> None:
        make_version(tmp_path, 1)
        make_version(tmp_path, 2, "broken")
        models, lines = manager(tmp_path)
        await settle(models)
        assert models.available == [1]
        broken = models.status(models.name, 2)[2]
        assert (broken.state, broken.error) == (VersionState.END, "it is broken")
        assert lines[0] == "version 2 is not served: it is broken"
        (tmp_path / "2" / "broken").unlink()  # repaired: loaded again
        make_version(tmp_path, 2)
        await settle(models)
        assert models.available == [2]

    run(main())


def test_deleting_the_newest_version_rolls_back(tmp_path: Path) -> None:
    async def main() -> None:
        make_version(tmp_path, 1)
        make_version(tmp_path, 2)
        models, _ = manager(tmp_path, "latest:2")
        await settle(models)
        assert models.available == [2, 1]
        async with models.use(models.name, 1) as (number, model):
            assert isinstance(model, FakeModel)
            assert (number, model.info["folder"]) == (1, "1")
        for removed in ("2", "1"):
            shutil.rmtree(tmp_path / removed)
            await settle(models)
            assert models.available == [1]  # the last one stays

    run(main())


def test_unknown_names_and_versions(tmp_path: Path) -> None:
    async def error(models: object, name: str, number: int | None) -> StatusCode:
        with pytest.raises(ServeError) as caught:
            async with models.use(name, number):  # type: ignore[attr-defined]
                pass
        return caught.value.code

    async def main() -> None:
        models, _ = manager(tmp_path)
        assert await error(models, models.name, None) is StatusCode.UNAVAILABLE
        make_version(tmp_path, 1)
        await settle(models)
        assert await error(models, "unknown", None) is StatusCode.NOT_FOUND
        assert await error(models, models.name, 7) is StatusCode.NOT_FOUND
        for name, number in (("unknown", None), (models.name, 7)):
            with pytest.raises(ServeError, match="Could not find"):
                models.status(name, number)

    run(main())


def test_watch_loads_new_versions(tmp_path: Path) -> None:
    async def main() -> None:
        models, lines = manager(tmp_path / "later", poll_seconds=0.01)
        watch_task = asyncio.create_task(models.watch())
        make_version(tmp_path / "later", 5)
        while models.available != [5]:
            await asyncio.sleep(0.01)
        watch_task.cancel()
        assert lines == ["version 5 is served"]

    run(main())
