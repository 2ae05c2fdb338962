"""The whole way through the real kagglehub, against a server on this machine in Kaggle's place."""

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
    """What the stand-in answers, and what it was asked."""

    body: bytes
    status: int = 200
    md5: str = ""
    cut_at: int = 0  # the connection breaks after so many bytes, once; 0 is never
    asked: list[str] = field(default_factory=list)
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
    answer = Kaggle(archive())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            answer.asked.append(self.path)
            answer.tokens.append(self.headers.get("Authorization", ""))
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.send_response(206 if start else answer.status)
            self.send_header("Content-Type", "application/zip")
            self.send_header("Content-Length", str(len(answer.body) - start))
            self.send_header("Accept-Ranges", "bytes")
            if answer.md5:
                self.send_header("x-goog-hash", f"md5={answer.md5}")
            self.end_headers()
            if answer.cut_at:
                self.wfile.write(answer.body[start : answer.cut_at])
                answer.cut_at = 0
                self.close_connection = True
            else:
                self.wfile.write(answer.body[start:])

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
    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("name", ["kaggle", "rsna"])
def test_an_archive_arrives_unpacked(name: str, kaggle: Kaggle, tmp_path: Path) -> None:
    (tmp_path / "data" / ".set.partial").mkdir(parents=True)
    (tmp_path / "data" / ".set.partial" / "half").write_text("of an earlier try")
    dest = download(name, tmp_path / "data" / "set")
    assert files(dest) == CONTENT
    assert [path.name for path in dest.parent.iterdir()] == ["set"]
    assert len(kaggle.asked) == 1
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


@pytest.mark.parametrize(("name", "says"), [("kaggle", "network"), ("rsna", "credentials")])
def test_without_network_or_credentials(
    name: str, says: str, kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("KAGGLE_API_TOKEN", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    refused(name, tmp_path, says)
    assert kaggle.asked == []


def test_the_second_copy_comes_from_the_cache(kaggle: Kaggle, tmp_path: Path) -> None:
    download("kaggle", tmp_path / "one")
    assert files(download("kaggle", tmp_path / "two")) == CONTENT
    assert len(kaggle.asked) == 1


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("rsna", 401, "rejects the credentials"),
        ("rsna", 403, "accept the terms"),
        ("kaggle", 404, "has no data set"),
        ("kaggle", 503, "503"),
    ],
)
def test_refusals(name: str, status: int, says: str, kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.status = status
    refused(name, tmp_path, says)


def refused(name: str, tmp_path: Path, says: str) -> None:
    with pytest.raises(PneumoError, match=says) as caught:
        download(name, tmp_path / "set")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()
    assert not list(tmp_path.glob(".set*"))


def test_a_broken_connection_is_told_and_the_next_try_goes_on(
    kaggle: Kaggle, tmp_path: Path
) -> None:
    kaggle.cut_at = 20_000
    refused("rsna", tmp_path, "interrupted")
    assert files(download("rsna", tmp_path / "set")) == CONTENT


def test_what_is_no_archive_is_told_and_not_kept(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.body = b"<html>log in to the network of this hotel</html>"
    refused("kaggle", tmp_path, "damaged")
    kaggle.body = archive()
    assert files(download("kaggle", tmp_path / "set")) == CONTENT


def test_a_wrong_checksum_is_told(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.md5 = base64.b64encode(hashlib.md5(b"something else").digest()).decode()
    refused("kaggle", tmp_path, "damaged")


def test_a_broken_credentials_file_is_told(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "kaggle.json").write_text("{not json")
    refused("rsna", tmp_path, "credentials")


def test_a_cache_that_cannot_be_written_is_told(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "file" / "cache"))
    refused("kaggle", tmp_path, "KAGGLEHUB_CACHE")
