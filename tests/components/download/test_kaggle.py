import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.download.kaggle import DATASETS, Dataset, _refused, download
from schema.errors import PneumoError

SET = "datasets/paultimothymooney/chest-xray-pneumonia"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without credentials, cache or network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """The data set as kagglehub keeps it in its cache."""
    folder = tmp_path / "cache" / SET / "versions" / "2"
    image = folder / "chest_xray" / "train" / "NORMAL" / "IM-0115-0001.jpeg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    (tmp_path / "cache" / SET / "2.complete").touch()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_kagglehub_has_comes_whole(cached: Path, tmp_path: Path) -> None:
    debris = tmp_path / "data" / ".set.partial"
    debris.mkdir(parents=True)
    (debris / "half").write_text("of an earlier try")
    dest = download("kaggle", tmp_path / "data" / "set")
    assert files(dest) == files(cached) != {}
    assert [path.name for path in dest.parent.iterdir()] == ["set"]


def test_nothing_is_overwritten(cached: Path, tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="exists already"):
        download("kaggle", tmp_path)


def test_a_folder_that_cannot_be_made(cached: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PneumoError, match="cannot write"):
        download("kaggle", tmp_path / "file" / "set")


@pytest.mark.parametrize(("name", "says"), [("kaggle", "network"), ("rsna", "credentials")])
def test_without_network_or_credentials(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match=says) as caught:
        download(name, tmp_path / "set")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


@pytest.fixture
def answering() -> Iterator[http.server.ThreadingHTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        status = 500

        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "refuses the credentials"), (403, "accept the terms"), (404, "any more"), (500, "500")],
)
def test_refusals_are_told(
    status: int,
    says: str,
    answering: http.server.ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import requests

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    answering.status = status  # type: ignore[attr-defined]
    response = requests.get(f"http://127.0.0.1:{answering.server_port}/", timeout=5)
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    assert says in _refused(DATASETS["rsna"], caught.value)


def test_handles() -> None:
    assert all(isinstance(dataset, Dataset) for dataset in DATASETS.values())
    assert DATASETS["kaggle"].handle.endswith("/versions/2")
