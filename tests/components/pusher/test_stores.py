"""Pushes into an S3 that answers over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schema import storage
from tests.components.pusher.pushing import contents, push
from tests.support import stores
from tests.support.stores import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with stores.s3(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def base(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return f"{store.root}/{request.node.name}"


def version(tmp_path: Path, base: str, graph: bytes = b"graph") -> str:
    pushed = push(tmp_path, blessed=True, graph=graph, base=base)
    assert pushed.get_string_custom_property("pushed_destination").startswith(f"{base}/")
    return pushed.get_string_custom_property("pushed_version")


def test_a_blessed_model_is_pushed(tmp_path: Path, base: str) -> None:
    name = version(tmp_path, base)
    assert storage.listing(base) == [name]
    back = storage.fetch(f"{base}/{name}", tmp_path / "back")
    assert contents(back) == contents(tmp_path / "model" / "Format-Serving")


def test_what_is_not_blessed_is_not_pushed(tmp_path: Path, base: str) -> None:
    pushed = push(tmp_path, blessed=False, base=base)
    assert pushed.get_int_custom_property("pushed") == 0
    assert storage.listing(base) == []


def test_versions_rise_and_the_newest_is_not_pushed_again(tmp_path: Path, base: str) -> None:
    names = [version(tmp_path, base, graph) for graph in (b"one", b"one", b"two", b"one")]
    assert names[0] == names[1]
    assert int(names[1]) < int(names[2]) < int(names[3])
    assert storage.listing(base) == sorted(set(names))


@pytest.mark.parametrize("half", ["99999999999", "1"])
def test_what_a_killed_push_left_is_removed(tmp_path: Path, base: str, half: str) -> None:
    storage.write_bytes(f"{base}/{half}/variables/variables.index", b"half")
    name = version(tmp_path, base)
    assert int(name) > int(half)
    assert storage.listing(base) == [name]


def test_a_push_that_is_killed_is_made_whole_by_the_next(
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
            version(tmp_path, base)
    (half,) = storage.listing(base)
    assert not storage.exists(f"{base}/{half}/saved_model.pb")
    name = version(tmp_path, base)
    assert int(name) > int(half)
    assert storage.listing(base) == [name]
