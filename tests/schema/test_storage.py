"""Storage functions against local, in-memory and HTTP stores."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schema import storage
from schema.errors import PneumoError
from tests.support.stand_ins import stores
from tests.support.stand_ins.stores import Store

SPECIAL = ["a b", "ü", "100%", "x#y", "[1]", "q?x", "st*r", "+", "a/b/c", ".hidden", "-", "a&b=c"]
VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "PNEUMO_S3_ENDPOINT")


@pytest.fixture(scope="module", params=["minio", "gs", "memory", "path"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    if request.param == "gs":
        with stores.gcs(folder) as started:
            yield started
    elif request.param in ("s3", "minio"):
        with stores.s3(folder, request.param) as started:
            yield started
    else:
        yield Store("memory://bucket" if request.param == "memory" else str(folder / "bucket"))


@pytest.fixture
def root(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A separate folder for each test."""
    for name in (*VARIABLES, "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return storage.join(store.root, request.node.originalname)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "model"
    (source / "variables").mkdir(parents=True)
    (source / "variables" / "data").write_bytes(b"weights")
    (source / "variables" / "empty").write_bytes(b"")
    (source / "saved_model.pb").write_bytes(b"graph")
    return source


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_uris() -> None:
    assert all(map(storage.is_remote, ["gs://b/x", "s3://b", "minio://b/x", "memory://x"]))
    assert not any(map(storage.is_remote, ["/a/b", "a", "", "file:///a/b"]))
    for uri in ("s3://b/x", "s3://b/x/", "/a/b", "/a/b/"):
        assert storage.join(uri, "c", "d") == uri.rstrip("/") + "/c/d"


def test_put_and_fetch_a_folder(root: str, folder: Path, tmp_path: Path) -> None:
    data = os.urandom(17 * 2**20 + 3)  # of several parts when it is uploaded
    (folder / "variables" / "data").write_bytes(data)
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "old").write_bytes(b"is replaced")
    storage.put(folder, f"{root}/1", last=["saved_model.pb"])
    assert storage.fetch(f"{root}/1", tmp_path / "back") == tmp_path / "back"
    assert content(tmp_path / "back") == content(folder)
    assert storage.list_names(f"{root}/1") == ["saved_model.pb", "variables"]
    assert storage.list_names(root) == ["1"]
    assert not list(tmp_path.glob(".*"))  # no temporary name is left
    storage.put(folder / "saved_model.pb", f"{root}/x/file")
    storage.put(folder / "variables" / "empty", f"{root}/x/file")
    assert storage.fetch(f"{root}/x/file", tmp_path / "deep" / "file").read_bytes() == b""
    # Existing content is replaced; a folder with a similar name is not.
    storage.write_bytes(f"{root}/1/variables/stale", b"half")
    storage.write_bytes(f"{root}/10/kept", b"of another folder")
    storage.put(folder, f"{root}/1")
    assert storage.list_names(f"{root}/1/variables") == ["data", "empty"]
    assert storage.read_bytes(f"{root}/10/kept") == b"of another folder"


def test_put_writes_the_last_files_last_and_removes_them_first(
    root: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed put never leaves saved_model.pb in an incomplete folder."""
    client = storage.file_system(root)

    def killed_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return function(*args, **kwargs)

        left = calls
        return call

    for calls in range(3):
        for name in ("put", "rm"):
            storage.put(folder, f"{root}/1", last=["saved_model.pb"])
            with monkeypatch.context() as patch:
                patch.setattr(client, name, killed_after(calls, getattr(client, name)))
                try:
                    storage.put(folder, f"{root}/1", last=["saved_model.pb"])
                except KeyboardInterrupt:
                    whole = storage.list_names(f"{root}/1/variables") == ["data", "empty"]
                    assert whole or "saved_model.pb" not in storage.list_names(f"{root}/1")


def test_special_characters_in_names(root: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in SPECIAL:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    storage.put(source, root)
    assert [storage.read_bytes(f"{root}/{name}") for name in SPECIAL] == [
        n.encode() for n in SPECIAL
    ]
    assert content(storage.fetch(root, tmp_path / "back")) == content(source)
    storage.remove(root)
    assert not storage.exists(root)


def test_exists_and_remove(root: str) -> None:
    storage.write_bytes(f"{root}/a/b", b"x")
    existing = [storage.exists(f"{root}/{name}") for name in ("a", "a/b", "a/b/c", "b", "aa")]
    assert existing == [True, True, False, False, False]
    storage.remove(f"{root}/a/b")
    storage.remove(f"{root}/a/b")  # nothing happens
    assert storage.list_names(f"{root}/nowhere") == []
    assert not storage.exists(f"{root}/a/b")


def test_list_files(root: str, store: Store) -> None:
    storage.write_bytes(f"{root}/a/b.png", b"four")
    storage.write_bytes(f"{root}/c", b"")
    files = storage.list_files(root)
    assert {name: info.size for name, info in files.items()} == {"a/b.png": 4, "c": 0}
    for info in files.values():
        age = time.time() - info.changed
        assert info.changed == 0 if storage.is_remote(root) else -5 < age < 60
    if not storage.is_remote(root):
        with pytest.raises(PneumoError, match=r"none does not exist"):
            storage.list_files(f"{root}/none")


def test_missing_files_are_errors(root: str, tmp_path: Path) -> None:
    for act in (
        lambda: storage.fetch(f"{root}/none", tmp_path / "x"),
        lambda: storage.read_bytes(f"{root}/none"),
        lambda: storage.put(tmp_path / "none", f"{root}/y"),
    ):
        with pytest.raises(PneumoError, match=r"none[^\n]* does not exist[^\n]*\Z"):
            act()
    assert not list(tmp_path.iterdir())


def test_remove_does_not_follow_links(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    storage.remove(str(tmp_path / "link"))
    assert len(content(folder)) == 3


@pytest.mark.parametrize("store", ["s3", "gs"], indirect=True)
def test_invalid_buckets_and_names(root: str, store: Store, folder: Path) -> None:
    for act in (lambda: storage.remove(store.root), lambda: storage.put(folder, store.root)):
        with pytest.raises(PneumoError, match="whole bucket"):
            act()
    scheme = store.root.partition("://")[0]
    with pytest.raises(PneumoError, match="does not exist"):
        storage.put(folder, f"{scheme}://no-such-bucket/x")
    if scheme == "s3":  # a name cannot leave the folder
        storage.write_bytes(f"{root}/a/../../out", b"x")
        with pytest.raises(PneumoError, match=r"contains `\.\.`"):
            storage.fetch(root, folder / "into")
        assert not list(folder.rglob("out"))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("hdfs://a/b", r"hdfs:// is not supported.*gs://, s3://, minio://"),
        ("minio://a/b", "PNEUMO_S3_ENDPOINT"),
        ("s3://b/x", r"s3fs is not installed.*pneumo-tfx\[cloud\]"),
        ("gs://b/x", r"gcsfs is not installed.*pneumo-tfx\[cloud\]"),
    ],
)
def test_other_stores_and_missing_packages(
    uri: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(PneumoError, match=message):
        storage.exists(uri)


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    # A new address: clients are cached by address.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{stores.free_port()}")
    with pytest.raises(PneumoError, match=r"no credentials.*AWS_ACCESS_KEY_ID"):
        storage.exists("s3://bucket/x")
