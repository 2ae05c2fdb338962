"""Pushes into a folder, and into an S3 that answers over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.pusher.executor import AtomicPusherExecutor
from schema import storage
from tests.support.stand_ins import stores
from tests.support.stand_ins.stores import Store


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with stores.s3(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(params=["folder", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "serving")
    store: Store = request.getfixturevalue("s3")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return f"{store.root}/{request.node.name}"


def push(
    folder: Path,
    base: str,
    graph: bytes = b"graph",
    blessed: bool = True,
    infra: bool | None = None,
) -> str:
    """Runs the Pusher on files of an artificial model; returns the version, if it was pushed."""
    saved = folder / "model" / "Format-Serving"
    (saved / "variables").mkdir(parents=True, exist_ok=True)
    (saved / "saved_model.pb").write_bytes(graph)
    (saved / "variables" / "variables.index").write_bytes(b"index")
    model, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    model.uri, blessing.uri = str(folder / "model"), str(folder / "blessing")
    blessing.set_int_custom_property("blessed", int(blessed))
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(folder / "pushed")
    inputs = {"model": [model], "model_blessing": [blessing]}
    if infra is not None:
        infra_blessing = standard_artifacts.InfraBlessing()
        infra_blessing.uri = str(folder / "infra")
        infra_blessing.set_int_custom_property("blessed", int(infra))
        inputs["infra_blessing"] = [infra_blessing]
    destination = json.dumps({"filesystem": {"base_directory": base}})
    AtomicPusherExecutor().Do(inputs, {"pushed_model": [pushed]}, {"push_destination": destination})
    if pushed.get_int_custom_property("pushed") != 1:
        return ""
    version = pushed.get_string_custom_property("pushed_version")
    assert pushed.get_string_custom_property("pushed_destination") == f"{base}/{version}"
    return version


def test_a_blessed_model_appears_whole(tmp_path: Path, base: str) -> None:
    version = push(tmp_path, base)
    assert storage.list_names(base) == [version]
    back = storage.fetch(f"{base}/{version}", tmp_path / "back")
    files = {p.relative_to(back).as_posix(): p.read_bytes() for p in back.rglob("*") if p.is_file()}
    assert files == {"saved_model.pb": b"graph", "variables/variables.index": b"index"}


@pytest.mark.parametrize(
    ("blessed", "infra", "pushes"),
    [(True, True, True), (True, False, False), (False, True, False), (False, None, False)],
)
def test_both_blessings_are_needed(
    tmp_path: Path, base: str, blessed: bool, infra: bool | None, pushes: bool
) -> None:
    assert bool(push(tmp_path, base, blessed=blessed, infra=infra)) is pushes
    assert len(storage.list_names(base)) == pushes


def test_versions_rise_and_the_newest_is_not_pushed_again(tmp_path: Path, base: str) -> None:
    """Even within a second; a push that was killed before it was recorded runs again."""
    versions = [push(tmp_path, base, graph) for graph in (b"one", b"one", b"two", b"one")]
    assert versions[0] == versions[1]
    assert int(versions[1]) < int(versions[2]) < int(versions[3])
    assert storage.list_names(base) == sorted(set(versions))


@pytest.mark.parametrize("other", ["99999999999", "1"])
def test_what_a_killed_push_left_is_removed(tmp_path: Path, base: str, other: str) -> None:
    staged = f"{base}/{other}" if storage.is_remote(base) else f"{base}/.pushing/{other}"
    storage.write_bytes(f"{staged}/variables/variables.index", b"half")
    version = push(tmp_path, base)
    assert storage.list_names(base) == [version]
    assert int(version) > int(other) or not storage.is_remote(base)


def test_a_new_version_is_above_all_that_exist(tmp_path: Path, base: str) -> None:
    storage.write_bytes(f"{base}/99999999999/saved_model.pb", b"another")
    assert int(push(tmp_path, base)) > 99999999999


@pytest.mark.parametrize("base", ["s3"], indirect=True)
def test_a_push_that_is_killed_is_repeated_by_the_next(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the other files and saved_model.pb."""
    store = storage.file_system(base)
    put = store.put

    def dies(sources: list[str], *rest: object, **options: object) -> None:
        if any(source.endswith("saved_model.pb") for source in sources):
            raise KeyboardInterrupt
        put(sources, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(store, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            push(tmp_path, base)
    (half,) = storage.list_names(base)
    assert not storage.exists(f"{base}/{half}/saved_model.pb")
    version = push(tmp_path, base)
    assert int(version) > int(half)
    assert storage.list_names(base) == [version]
