"""Files and folders in object stores: gs://, s3://, minio://; plain paths work the same way.

Files go as a stream, a few at a time: neither memory nor the number of files sets a limit.
Credentials are those of the store's own tools (GOOGLE_APPLICATION_CREDENTIALS,
AWS_ACCESS_KEY_ID, ...).
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from schema.errors import PneumoError
from schema.files import write_bytes_atomically

SCHEMES: Final = ("gs", "s3", "minio")
ORIGIN: Final = "pneumo_uri"  # custom property of an artifact's copy: where the artifact is
_MEMORY: Final = "memory"  # a store inside the process, for tests
_PACKAGES: Final = {"gs": "gcsfs", "s3": "s3fs", "minio": "s3fs"}
_CHUNK: Final = 8 * 2**20  # bytes of a file that are held at a time
_AT_ONCE: Final = 4  # files
_ENDPOINTS: Final = ("PNEUMO_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def is_remote(uri: str) -> bool:
    """Whether a URI names something that is not in this machine's file system."""
    return "://" in uri and not uri.startswith("file://")


def join(uri: str, *names: str) -> str:
    """A name inside a folder, for URIs and for paths."""
    return "/".join([uri.rstrip("/"), *names])


def file_system(uri: str) -> Any:
    """The fsspec file system of a URI's store; nothing that it lists is remembered.

    minio:// is S3 with an endpoint of its own: PNEUMO_S3_ENDPOINT or AWS_ENDPOINT_URL. s3:// goes
    there too where one of them is set. gs:// goes to STORAGE_EMULATOR_HOST where that is set.

    Raises:
      PneumoError: no such store is known, its package is not installed, or minio:// has no
        endpoint.
    """
    scheme = uri.partition("://")[0] if is_remote(uri) else "file"
    if scheme not in ("file", _MEMORY, *SCHEMES):
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise PneumoError(
            f"{uri}: {scheme}:// is no store that is known here; use {known} or a path"
        )
    options: dict[str, Any] = {}
    if scheme in ("s3", "minio"):
        endpoint = next(filter(None, (os.environ.get(name) for name in _ENDPOINTS)), None)
        if scheme == "minio" and endpoint is None:
            raise PneumoError(
                f"{uri}: minio:// needs the address of the server; set {_ENDPOINTS[0]} to "
                "http://HOST:PORT"
            )
        options = {"endpoint_url": endpoint, "use_listings_cache": False}
    elif scheme == "gs":
        options = {"use_listings_cache": False}
        if os.environ.get("STORAGE_EMULATOR_HOST"):
            options["token"] = "anon"
    try:
        if scheme == "gs":
            # The other class asks for the kind of each bucket over gRPC, for up to a minute where
            # only HTTP is answered.
            os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
            from gcsfs.core import GCSFileSystem

            return GCSFileSystem(**options)
        import fsspec

        return fsspec.filesystem("s3" if scheme == "minio" else scheme, **options)
    except ImportError:
        package = _PACKAGES.get(scheme, "fsspec")
        raise PneumoError(
            f"{uri}: package {package} is not installed; pip install 'pneumo-tfx[cloud]'"
        ) from None


def exists(uri: str) -> bool:
    """Whether a file, or a folder that holds a file, is there.

    Raises:
      PneumoError: the store cannot be asked.
    """
    if not is_remote(uri):
        return _local(uri).exists()
    store = file_system(uri)
    with _told(uri):
        try:
            store.invalidate_cache()
            store.info(_key(uri))
        except FileNotFoundError:
            return False
        return True


def listing(uri: str) -> list[str]:
    """Names of the files and folders directly in a folder, sorted; empty where there is none.

    Raises:
      PneumoError: the store cannot be asked.
    """
    if not is_remote(uri):
        folder = _local(uri)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    store, key = file_system(uri), _key(uri)
    with _told(uri):
        try:
            store.invalidate_cache()
            found = [name.strip("/") for name in store.ls(key, detail=False)]
        except FileNotFoundError:
            return []
    own = key.strip("/")
    return sorted({PurePosixPath(name).name for name in found if name != own})


def read_bytes(uri: str) -> bytes:
    """The content of a small file.

    Raises:
      PneumoError: it is not there, or the store cannot be asked.
    """
    if not is_remote(uri):
        try:
            return _local(uri).read_bytes()
        except OSError as error:
            raise PneumoError(f"{uri} cannot be read ({error.strerror}); check the path") from None
    store = file_system(uri)
    with _told(uri):
        return bytes(store.cat_file(_key(uri)))


def write_bytes(uri: str, data: bytes) -> None:
    """Writes a small file, whole or not at all.

    Raises:
      PneumoError: the store does not take it.
    """
    if not is_remote(uri):
        path = _local(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(path, data)
        return
    store = file_system(uri)
    with _told(uri):
        store.pipe_file(_key(uri), data)


def fetch(uri: str, dest: Path) -> Path:
    """Copies a file or a folder here, under a temporary name until it is whole.

    Args:
      uri: URI or path.
      dest: what the copy is called; replaced where it exists.

    Returns:
      `dest`.

    Raises:
      PneumoError: it is not there, or the store cannot be asked.
    """
    dest.parent.mkdir(parents=True, exist_ok=True)
    partial = dest.with_name(f".{dest.name}.{os.getpid()}.partial")
    _remove_here(partial)
    try:
        if is_remote(uri):
            _fetch_remote(uri, partial)
        else:
            _copy(_local(uri), partial)
        _remove_here(dest)
        partial.replace(dest)
    finally:
        _remove_here(partial)
    return dest


@contextlib.contextmanager
def some_of(uri: str, names: Sequence[str]) -> Iterator[Path]:
    """A folder here that holds some files of a folder, as far as they exist, while it is used.

    A folder of this machine is given itself.

    Raises:
      PneumoError: the store cannot be asked.
    """
    if not is_remote(uri):
        yield _local(uri)
        return
    with tempfile.TemporaryDirectory(prefix="pneumo-") as scratch:
        for name in names:
            if exists(join(uri, name)):
                fetch(join(uri, name), Path(scratch) / name)
        yield Path(scratch)


def put(source: Path, uri: str, *, last: Sequence[str] = ()) -> None:
    """Copies a file or a folder to a store; what was there before is gone.

    An object appears whole or not at all, a folder of objects does not. So a reader that waits for
    one of the names in `last` finds everything else there: they are removed first and written at
    the end.

    Args:
      source: file or folder.
      uri: what the copy is called; the folder itself, not its parent.
      last: names of files.

    Raises:
      PneumoError: `source` is not there, `uri` names a whole bucket, or the store does not take it.
    """
    if not source.exists():
        raise PneumoError(f"{source} does not exist and cannot be copied to {uri}")
    if not is_remote(uri):
        _put_here(source, _local(uri), last)
        return
    store, key = file_system(uri), _named(uri)
    if source.is_file():
        with _told(uri):
            _upload(store, [(source, key)])
        return
    files = sorted(path for path in source.rglob("*") if path.is_file())
    pairs = [(path, f"{key}/{path.relative_to(source).as_posix()}") for path in files]
    remove(uri, first=last)
    with _told(uri):
        _upload(store, [pair for pair in pairs if pair[0].name not in last])
        _upload(store, [pair for pair in pairs if pair[0].name in last])


def remove(uri: str, *, first: Sequence[str] = ()) -> None:
    """Removes a file or a folder; nothing happens where there is none.

    Args:
      uri: URI or path.
      first: names of files that go before the others.

    Raises:
      PneumoError: `uri` names a whole bucket, or the store cannot be asked.
    """
    if not is_remote(uri):
        path = _local(uri)
        for name in first:
            for file in path.rglob(name):
                file.unlink()
        _remove_here(path)
        return
    store, key = file_system(uri), _named(uri)
    with _told(uri):
        found = _objects(store, key)
        ahead = [name for name in found if PurePosixPath(name).name in first]
        for names in (ahead, [name for name in found if name not in set(ahead)]):
            _remove_objects(store, names)
        if not store.async_impl and store.exists(key):
            store.rm(key, recursive=True)  # one that has real folders


def _key(uri: str) -> str:
    """bucket/name of a URI."""
    scheme, _, rest = uri.partition("://")
    return f"/{rest.strip('/')}" if scheme == _MEMORY else rest.strip("/")


def _named(uri: str) -> str:
    """As `_key`, of something inside a bucket."""
    key = _key(uri)
    if "/" not in key.strip("/"):
        raise PneumoError(f"{uri} is a whole bucket; name a folder in it, as {join(uri, 'pneumo')}")
    return key


def _local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _objects(store: Any, key: str) -> list[str]:
    """All objects at or below a key; S3 consoles make empty ones in the place of folders."""
    store.invalidate_cache()
    try:
        found: dict[str, dict[str, Any]] = store.find(key, detail=True)
    except FileNotFoundError:
        return []
    return [name for name, facts in sorted(found.items()) if facts["type"] != "directory"]


def _remove_objects(store: Any, names: list[str]) -> None:
    # Many at once where the client does not take the name for a pattern.
    plain = [name for name in names if not set("*?[]") & set(name)]
    if plain:
        store.rm(plain)
    for name in sorted(set(names) - set(plain)):
        store.rm_file(name)


def _fetch_remote(uri: str, dest: Path) -> None:
    store, key = file_system(uri), _key(uri)
    with _told(uri):
        found = [name for name in _objects(store, key) if not name.endswith("/")]
        if not found:
            raise FileNotFoundError(uri)
        pairs = []
        for name in found:
            inside = name.removeprefix(key).lstrip("/")
            if ".." in PurePosixPath(inside).parts:
                raise PneumoError(f"{join(uri, inside)} has .. in its name; rename or remove it")
            target = dest / inside if inside else dest
            target.parent.mkdir(parents=True, exist_ok=True)
            pairs.append((name, target))
        _download(store, pairs)


def _download(store: Any, pairs: list[tuple[str, Path]]) -> None:
    names, paths = [name for name, _ in pairs], [str(path) for _, path in pairs]
    _transfer(store, store.get, store.get_file, names, paths, {})


def _upload(store: Any, pairs: list[tuple[Path, str]]) -> None:
    paths, names = [str(path) for path, _ in pairs], [name for _, name in pairs]
    _transfer(store, store.put, store.put_file, paths, names, {"chunksize": _CHUNK})


def _transfer(
    store: Any,
    several: Callable[..., Any],
    one: Callable[..., Any],
    sources: list[str],
    targets: list[str],
    options: dict[str, Any],
) -> None:
    if not sources:
        return
    if store.async_impl:
        several(sources, targets, batch_size=_AT_ONCE, **options)
        return
    for source, target in zip(sources, targets, strict=True):
        one(source, target)


def _put_here(source: Path, dest: Path, last: Sequence[str]) -> None:
    remove(str(dest), first=last)
    if source.is_file():
        fetch(str(source), dest)
        return
    dest.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for file in sorted(files, key=lambda path: path.name in last):
        fetch(str(file), dest / file.relative_to(source))


def _copy(source: Path, dest: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, dest)
    elif source.is_file():
        shutil.copyfile(source, dest)
    else:
        raise PneumoError(f"{source} does not exist; check the path")


def _remove_here(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    """Turns what a store's client raises into one line."""
    try:
        yield
    except PneumoError:
        raise
    except FileNotFoundError:
        raise PneumoError(f"{uri} is not there; check the bucket and the name") from None
    except PermissionError as error:
        raise PneumoError(f"{uri}: access is denied ({_line(error)}); {_login(uri)}") from None
    except Exception as error:  # each client has its own: botocore, aiohttp, google.auth
        if "credential" in f"{type(error).__name__} {error}".lower():
            raise PneumoError(f"{uri}: no credentials ({_line(error)}); {_login(uri)}") from None
        raise PneumoError(
            f"{uri}: the store does not answer as it should ({_line(error)}); "
            "check its address, the network and the credentials"
        ) from error


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _login(uri: str) -> str:
    if uri.startswith("gs://"):
        return "give GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud auth"
    return "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile of the aws tool"
