"""Downloads with the real kagglehub from a local server in place of Kaggle."""

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.ingest.kaggle import download
from schema.errors import PneumoError

CONTENT = {
    "chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"pixels" * 4000,
    "chest_xray/test/PNEUMONIA/person1_virus_6.jpeg": b"others" * 4000,
}


@dataclass
class Kaggle:
    """Response of the local server, and the requests it received."""

    body: bytes
    status: int = 200
    md5: str = ""
    close_after: int = 0  # closes the connection once after so many bytes; 0: never
    requests: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


def archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for name, content in CONTENT.items():
            out.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kaggle]:
    kaggle_env = pytest.importorskip("kagglesdk.kaggle_env")
    response = Kaggle(archive())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.respond()

        def do_GET(self) -> None:
            self.respond()

        def respond(self) -> None:
            response.requests.append(self.path)
            response.tokens.append(self.headers.get("Authorization", ""))
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.send_response(206 if start else response.status)
            self.send_header("Content-Type", "application/zip")
            self.send_header("Content-Length", str(len(response.body) - start))
            self.send_header("Accept-Ranges", "bytes")
            if response.md5:
                self.send_header("x-goog-hash", f"md5={response.md5}")
            self.end_headers()
            if response.close_after:
                self.wfile.write(response.body[start : response.close_after])
                response.close_after = 0
                self.close_connection = True
            else:
                self.wfile.write(response.body[start:])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, address)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token-of-nobody")
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    yield response
    server.shutdown()
    thread.join()
    server.server_close()


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("name", ["kaggle", "rsna"])
def test_archive_is_unpacked(name: str, kaggle: Kaggle, tmp_path: Path) -> None:
    (tmp_path / "data" / ".set.partial").mkdir(parents=True)
    (tmp_path / "data" / ".set.partial" / "half").write_text("of an earlier attempt")
    dest = download(name, tmp_path / "data" / "set")
    assert files(dest) == CONTENT
    assert [path.name for path in dest.parent.iterdir()] == ["set"]
    assert len(kaggle.requests) == 1
    assert kaggle.tokens == ["Bearer token-of-nobody"]


def test_the_public_set_needs_no_credentials(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert files(download("kaggle", tmp_path / "set")) == CONTENT
    assert kaggle.tokens == [""]


def test_dest_must_be_new_and_writable(kaggle: Kaggle, tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="exists already"):
        download("kaggle", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(PneumoError, match="cannot write"):
        download("kaggle", tmp_path / "file" / "set")


@pytest.mark.parametrize(("name", "message"), [("kaggle", "network"), ("rsna", "credentials")])
def test_without_network_or_credentials(
    name: str, message: str, kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("KAGGLE_API_TOKEN", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    check_error(name, tmp_path, message)
    assert kaggle.requests == []


def test_second_copy_comes_from_the_cache(kaggle: Kaggle, tmp_path: Path) -> None:
    download("kaggle", tmp_path / "one")
    assert files(download("kaggle", tmp_path / "two")) == CONTENT
    assert len(kaggle.requests) == 1


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("rsna", 401, "rejects the credentials"),
        ("rsna", 403, "accept the terms"),
        ("kaggle", 404, "has no data set"),
        ("kaggle", 503, "503"),
    ],
)
def test_http_errors(name: str, status: int, message: str, kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.status = status
    check_error(name, tmp_path, message)


def check_error(name: str, tmp_path: Path, message: str) -> None:
    with pytest.raises(PneumoError, match=message) as caught:
        download(name, tmp_path / "set")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()
    assert not list(tmp_path.glob(".set*"))


def test_interrupted_download_resumes(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.close_after = 20_000
    check_error("rsna", tmp_path, "interrupted")
    assert files(download("rsna", tmp_path / "set")) == CONTENT


def test_invalid_archive_is_removed(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.body = b"<html>log in to the network of this hotel</html>"
    check_error("kaggle", tmp_path, "damaged")
    kaggle.body = archive()
    assert files(download("kaggle", tmp_path / "set")) == CONTENT


def test_wrong_checksum(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.md5 = base64.b64encode(hashlib.md5(b"something else").digest()).decode()
    check_error("kaggle", tmp_path, "damaged")


def test_invalid_credentials_file(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "kaggle.json").write_text("{not json")
    check_error("rsna", tmp_path, "credentials")


def test_unwritable_cache(kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "file" / "cache"))
    check_error("kaggle", tmp_path, "KAGGLEHUB_CACHE")
