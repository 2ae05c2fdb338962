"""Against stores that answer over real HTTP."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schema import storage
from schema.errors import PneumoError
from tests.support import stores
from tests.support.stores import Store

ODD = ["a b", "ü", "100%", "x#y", "[1]", "q?x", "st*r", "+", "a/b/c", ".hidden", "-", "a&b=c"]


@pytest.fixture(scope="module", params=["s3", "minio", "gs", "memory", "path"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    if request.param == "memory":
        yield Store("memory://bucket")
    elif request.param == "path":
        yield Store(str(folder / "bucket"))
    else:
        with stores.gcs(folder) if request.param == "gs" else stores.s3(
            folder, request.param
        ) as found:  # fmt: skip
            yield found


@pytest.fixture
def root(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of its own for each test."""
    for name in ("AWS_ENDPOINT_URL", "PNEUMO_S3_ENDPOINT", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return storage.join(store.root, request.node.originalname)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files as a SavedModel has them, one of several parts when it is uploaded."""
    made = tmp_path / "model"
    (made / "variables").mkdir(parents=True)
    (made / "variables" / "data").write_bytes(os.urandom(17 * 2**20 + 3))
    (made / "variables" / "empty").write_bytes(b"")
    (made / "saved_model.pb").write_bytes(b"graph")
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("gs://b/x", True),
        ("s3://b", True),
        ("minio://b/x", True),
        ("memory://x", True),
        ("/a/b", False),
        ("a", False),
        ("", False),
        ("file:///a/b", False),
    ],
)
def test_what_is_remote(uri: str, remote: bool) -> None:
    assert storage.is_remote(uri) is remote


@pytest.mark.parametrize("uri", ["s3://b/x", "s3://b/x/", "/a/b", "/a/b/"])
def test_join(uri: str) -> None:
    assert storage.join(uri, "c", "d") == uri.rstrip("/") + "/c/d"


def test_a_folder_goes_and_comes_back(root: str, folder: Path, tmp_path: Path) -> None:
    storage.put(folder, f"{root}/1", last=["saved_model.pb"])
    assert storage.fetch(f"{root}/1", tmp_path / "back") == tmp_path / "back"
    assert content(tmp_path / "back") == content(folder)
    assert storage.listing(f"{root}/1") == ["saved_model.pb", "variables"]
    assert storage.listing(root) == ["1"]
    assert not list(tmp_path.glob(".*"))  # no temporary name is left


def test_a_file_goes_and_comes_back(root: str, folder: Path, tmp_path: Path) -> None:
    storage.put(folder / "saved_model.pb", f"{root}/x/file")
    assert storage.read_bytes(f"{root}/x/file") == b"graph"
    storage.put(folder / "variables" / "empty", f"{root}/x/file")
    assert storage.fetch(f"{root}/x/file", tmp_path / "deep" / "file").read_bytes() == b""


def test_fetch_replaces_what_is_there(root: str, tmp_path: Path) -> None:
    storage.write_bytes(f"{root}/d/new", b"new")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_bytes(b"old")
    storage.fetch(f"{root}/d", tmp_path / "d")
    assert content(tmp_path / "d") == {"new": b"new"}


def test_put_leaves_nothing_of_a_killed_attempt(root: str, folder: Path) -> None:
    storage.write_bytes(f"{root}/1/variables/stale", b"half")
    storage.write_bytes(f"{root}/10/kept", b"of another folder")
    storage.put(folder, f"{root}/1")
    assert storage.listing(f"{root}/1/variables") == ["data", "empty"]
    assert storage.read_bytes(f"{root}/10/kept") == b"of another folder"


def test_what_a_reader_waits_for_comes_last_and_goes_first(
    root: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at every step, a put never leaves saved_model.pb beside half a folder."""
    (folder / "variables" / "data").write_bytes(b"weights")
    whole = set(content(folder))
    for step in range(8):
        storage.put(folder, f"{root}/1", last=["saved_model.pb"])
        left = step

        def dies(*_: object) -> None:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1

        with monkeypatch.context() as patch:
            fsspec_store = storage.file_system(root)
            for name in ("put", "rm", "rm_file"):
                patch.setattr(fsspec_store, name, _before(getattr(fsspec_store, name), dies))
            try:
                storage.put(folder, f"{root}/1", last=["saved_model.pb"])
            except KeyboardInterrupt:
                left = -1
        names = set(storage.listing(f"{root}/1"))
        if left == -1 and "saved_model.pb" in names:
            found = {*storage.listing(f"{root}/1/variables")}
            assert found == {name.split("/")[1] for name in whole if "/" in name}


def _before(function: object, hook: object) -> object:
    def called(*given: object, **named: object) -> object:
        hook()  # type: ignore[operator]
        return function(*given, **named)  # type: ignore[operator]

    return called


def test_odd_names(root: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    for name in ODD:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(name.encode())
    storage.put(made, root)
    assert [storage.read_bytes(f"{root}/{name}") for name in ODD] == [n.encode() for n in ODD]
    assert content(storage.fetch(root, tmp_path / "back")) == content(made)
    storage.remove(root)
    assert not storage.exists(root)


def test_exists_and_remove(root: str) -> None:
    storage.write_bytes(f"{root}/a/b", b"x")
    found = [storage.exists(f"{root}/{name}") for name in ("a", "a/b", "a/b/c", "b", "aa")]
    assert found == [True, True, False, False, False]
    storage.remove(f"{root}/a/b")
    storage.remove(f"{root}/a/b")  # nothing happens
    assert storage.listing(f"{root}/nowhere") == []
    assert not storage.exists(f"{root}/a/b")


def test_what_is_missing_is_one_line(root: str, tmp_path: Path) -> None:
    for act in (
        lambda: storage.fetch(f"{root}/none", tmp_path / "x"),
        lambda: storage.read_bytes(f"{root}/none"),
        lambda: storage.put(tmp_path / "none", f"{root}/y"),
    ):
        with pytest.raises(PneumoError, match="none") as told:
            act()
        assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("store", ["s3", "gs"], indirect=True)
def test_a_bucket_is_never_removed(root: str, store: Store, folder: Path) -> None:
    for act in (lambda: storage.remove(store.root), lambda: storage.put(folder, store.root)):
        with pytest.raises(PneumoError, match="whole bucket"):
            act()
    scheme = store.root.partition("://")[0]
    with pytest.raises(PneumoError, match="does not exist"):
        storage.put(folder, f"{scheme}://no-such-bucket/x")


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_name_cannot_leave_the_folder(root: str, tmp_path: Path) -> None:
    storage.write_bytes(f"{root}/a/../../out", b"x")
    for uri in (root, f"{root}/a"):
        with pytest.raises(PneumoError, match=r"\.\. in its name"):
            storage.fetch(uri, tmp_path / "into")
    assert not list(tmp_path.rglob("out"))


def test_other_stores_and_missing_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "PNEUMO_S3_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PneumoError, match=r"hdfs:// is not supported.*gs://, s3://, minio://"):
        storage.exists("hdfs://a/b")
    with pytest.raises(PneumoError, match="PNEUMO_S3_ENDPOINT"):
        storage.exists("minio://a/b")


@pytest.mark.parametrize(("uri", "package"), [("s3://b/x", "s3fs"), ("gs://b/x", "gcsfs")])
def test_a_missing_package_is_named(
    uri: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.core", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(PneumoError, match=rf"{package} is not installed.*pneumo-tfx\[cloud\]"):
        storage.exists(uri)


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    # Another address than any test before: clients are shared by address.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{stores.free_port()}")
    with pytest.raises(PneumoError, match=r"no credentials.*AWS_ACCESS_KEY_ID"):
        storage.exists("s3://bucket/x")
