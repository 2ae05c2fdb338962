"""Files and folders by path or by URI (gs://, s3://, minio://), over fsspec.

Uses the credentials of each store's own tools. Every function raises a one-line PneumoError if the
store is unreachable, denies access, or has no such file.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from schema.errors import PneumoError, one_line
from schema.files import write_bytes_atomically

SCHEMES: Final = ("gs", "s3", "minio")
ORIGIN: Final = "pneumo_uri"  # custom property of an artifact's copy: the URI of the artifact
_PACKAGES: Final = {"gs": "gcsfs", "s3": "s3fs", "minio": "s3fs"}
_ENDPOINTS: Final = ("PNEUMO_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_LOGIN: Final = {
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud auth",
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile of the aws tool",
}
_CONCURRENT_FILES: Final = 4  # each may buffer 50 MiB
# gcsfs's experimental class queries the type of each bucket over gRPC, and waits up to a minute if
# only HTTP is available.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


def is_remote(uri: str) -> bool:
    """Whether a URI names something outside this machine's file system."""
    return "://" in uri and not uri.startswith("file://")


def join(uri: str, *names: str) -> str:
    """Appends names to a URI or a path."""
    return "/".join([uri.rstrip("/"), *names])


def file_system(uri: str) -> Any:
    """Returns the fsspec file system of a URI or a path, without a cache of listings.

    minio:// is S3 at the endpoint PNEUMO_S3_ENDPOINT or AWS_ENDPOINT_URL; s3:// uses that endpoint
    too if one is set. gs:// uses STORAGE_EMULATOR_HOST if it is set.

    Raises:
      PneumoError: unknown scheme, missing package, or minio:// without an endpoint.
    """
    scheme = uri.partition("://")[0] if is_remote(uri) else "file"
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme == "file":
        options = {"auto_mkdir": True}
    if scheme in ("s3", "minio"):
        options["endpoint_url"] = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
        if scheme == "minio" and not options["endpoint_url"]:
            raise PneumoError(f"{uri}: no endpoint; set {_ENDPOINTS[0]} to http://HOST:PORT")
    elif scheme == "gs" and os.environ.get("STORAGE_EMULATOR_HOST"):
        options["token"] = "anon"
    elif scheme not in ("file", "memory", *SCHEMES):
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise PneumoError(f"{uri}: {scheme}:// is not supported; use {known} or a path")
    try:
        import fsspec

        return fsspec.filesystem("s3" if scheme == "minio" else scheme, **options)
    except ImportError:
        package = _PACKAGES.get(scheme, "fsspec")
        raise PneumoError(
            f"{uri}: package {package} is not installed; pip install 'pneumo-tfx[cloud]'"
        ) from None


def exists(uri: str) -> bool:
    """Whether a file or a non-empty folder exists."""
    with _store(uri) as (store, key):
        try:
            store.info(key)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def list_names(uri: str) -> list[str]:
    """Returns the sorted names in a folder; empty if the folder does not exist."""
    with _store(uri) as (store, key):
        try:
            paths = [path.strip("/") for path in store.ls(key, detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted({PurePosixPath(path).name for path in paths if path != key.strip("/")})


class FileInfo(NamedTuple):
    """Size and modification time of a file.

    Attributes:
      size: in bytes.
      changed: seconds since 1970; 0 for objects of a store, which appear only when complete.
    """

    size: int
    changed: float


def list_files(uri: str) -> dict[str, FileInfo]:
    """Returns path below a folder -> size and modification time, for all files below it."""
    with _store(uri) as (store, key):
        if not is_remote(uri) and not Path(key).is_dir():
            raise NotADirectoryError(key)
        return {
            path.removeprefix(key).lstrip("/"): FileInfo(
                int(info["size"]), 0.0 if is_remote(uri) else float(info["mtime"])
            )
            for path, info in store.find(key, detail=True).items()
            if info["type"] != "directory"
        }


def read_bytes(uri: str) -> bytes:
    """Reads a small file."""
    with _store(uri) as (store, key):
        return bytes(store.cat_file(key))


def write_bytes(uri: str, data: bytes) -> None:
    """Writes a small file atomically."""
    with _store(uri) as (store, key):
        if is_remote(uri):
            store.pipe_file(key, data)
        else:
            Path(key).parent.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(Path(key), data)


def fetch(uri: str, dest: Path) -> Path:
    """Copies a file or a folder to `dest`, which is replaced once the copy is complete."""
    partial = dest.with_name(f".{dest.name}.{os.getpid()}.partial")
    try:
        with _store(uri) as (store, key):
            paths = [path for path in _files(store, key) if not path.endswith("/")]
            if not paths:
                raise FileNotFoundError(uri)
            targets = []
            for path in paths:
                inside = PurePosixPath(path.removeprefix(key).lstrip("/"))
                if ".." in inside.parts:
                    raise PneumoError(f"{uri}: {inside} contains `..`; rename or remove it")
                targets.append(partial / inside)  # of a single file: partial itself
                targets[-1].parent.mkdir(parents=True, exist_ok=True)
            store.get(paths, list(map(str, targets)), **_limits(store))
        remove(str(dest))
        partial.replace(dest)
    finally:
        remove(str(partial))
    return dest


@contextlib.contextmanager
def fetch_files(uri: str, names: Sequence[str]) -> Iterator[Path]:
    """Yields a local folder with those of the named files that exist; copies from remote stores."""
    if not is_remote(uri):
        yield Path(uri.removeprefix("file://"))
        return
    with tempfile.TemporaryDirectory(prefix="pneumo-") as scratch:
        for name in names:
            if exists(join(uri, name)):
                fetch(join(uri, name), Path(scratch) / name)
        yield Path(scratch)


def put(source: Path, uri: str, *, last: Sequence[str] = ()) -> None:
    """Copies a file or a folder to `uri`; existing content is removed.

    Each object appears atomically, but a folder of objects does not. The files named in `last` are
    removed first and written last, so a reader that waits for one of them finds all the others.
    """
    if not source.exists():
        raise PneumoError(f"{source} does not exist and cannot be copied to {uri}")
    files = sorted(path for path in [source, *source.rglob("*")] if path.is_file())
    remove(uri, first=last)
    with _store(uri) as (store, key):
        for final in (False, True):
            group = [path for path in files if (path.name in last) is final]
            names = [join(key, *path.relative_to(source).parts) for path in group]
            if group:
                store.put(list(map(str, group)), names, **_limits(store))


def remove(uri: str, *, first: Sequence[str] = ()) -> None:
    """Removes a file or a folder if it exists, starting with the files named in `first`."""
    with _store(uri) as (store, key):
        if not is_remote(uri):
            for path in [match for name in first for match in Path(key).rglob(name)]:
                path.unlink()
            if Path(key).is_dir() and not Path(key).is_symlink():
                shutil.rmtree(key)
            else:
                Path(key).unlink(missing_ok=True)
            return
        if "/" not in key.strip("/"):
            raise PneumoError(
                f"{uri} is a whole bucket; give a folder in it, such as {join(uri, 'pneumo')}"
            )
        names = sorted(_files(store, key), key=lambda name: PurePosixPath(name).name not in first)
        ahead = sum(PurePosixPath(name).name in first for name in names)
        for group in (names[:ahead], names[ahead:]):
            # Clients interpret these characters as a pattern unless they remove a single file.
            special = [name for name in group if set("*?[]") & set(name)]
            if ordinary := [name for name in group if name not in special]:
                store.rm(ordinary)
            for name in special:
                store.rm_file(name)
        if not store.async_impl and store.exists(key):
            store.rm(key, recursive=True)  # in a store with real folders


def _files(store: Any, key: str) -> list[str]:
    """Returns all files at or below a key, without the empty objects that mark folders."""
    entries: dict[str, dict[str, Any]] = store.find(key, detail=True)
    return sorted(path for path, info in entries.items() if info["type"] != "directory")


def _limits(store: Any) -> dict[str, int]:
    return {"batch_size": _CONCURRENT_FILES} if store.async_impl else {}


@contextlib.contextmanager
def _store(uri: str) -> Iterator[tuple[Any, str]]:
    """Yields the file system and the key; converts client errors to a one-line PneumoError."""
    store = file_system(uri)
    key = str(store._strip_protocol(uri.replace("minio://", "s3://", 1)))
    login = _LOGIN["gs" if uri.startswith("gs://") else "s3"]
    try:
        store.invalidate_cache()
        yield store, key
    except PneumoError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise PneumoError(f"{uri} does not exist; check the spelling") from None
    except Exception as error:  # each client has its own errors: botocore, aiohttp, google.auth
        line = one_line(error, 200)
        if isinstance(error, PermissionError):
            raise PneumoError(f"{uri}: access denied ({line}); {login}") from None
        if "credential" in f"{type(error).__name__} {line}".lower():
            raise PneumoError(f"{uri}: no credentials ({line}); {login}") from None
        raise PneumoError(
            f"{uri}: {line}; check the address of the store, the network and the credentials"
        ) from error
