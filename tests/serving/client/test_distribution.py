"""The client as a distribution of its own: built, installed, used without this project."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from serving.client.distribution import NAME, modules, write_source
from tests.support.stand_ins.model_server import StandInServer, row_of

ROOT = Path(__file__).resolve().parents[3]
PNG = b"\x89PNG\r\n\x1a\n"
USE = """
import sys
import pneumo_client
from pneumo_client import Client, ClientError, Image
with Client(sys.argv[1]) as client:
    (prediction,) = client.predict([Image("a.png", lambda: bytes.fromhex(sys.argv[2]))])
print(repr(prediction.score), prediction.decision, pneumo_client.__file__)
heavy = {"tensorflow", "numpy", "schema", "core", "serving"}
assert not heavy & {name.partition(".")[0] for name in sys.modules}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the content of the wheel."""
    folder = tmp_path_factory.mktemp("client")
    command = [sys.executable, "-m", "serving.client.distribution", str(folder / "dist")]
    subprocess.run(command, cwd=ROOT, check=True)
    (wheel,) = (folder / "dist").iterdir()
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_one_top_level_package(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info")
    assert {path.name for path in installed.iterdir()} == {NAME, metadata.name}
    assert (metadata / "top_level.txt").read_text().split() == [NAME]
    for path in installed.rglob("*.py"):
        compile(path.read_bytes(), path, "exec")


def test_it_predicts_without_this_project(
    installed: Path, endpoint: str, standin: StandInServer, tmp_path: Path
) -> None:
    content = PNG + b"0".ljust(100, b".")
    packages = [p for p in sys.path if p.endswith("site-packages")]
    # -S: no .pth file, which would make this project importable.
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", USE, endpoint, content.hex()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *packages])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    score, decision, file = done.stdout.split()
    row = row_of(content)
    assert (float(score), decision) == (row["score"], row["decision"])
    assert Path(file).is_relative_to(installed)


def test_source_holds_what_the_client_imports(tmp_path: Path) -> None:
    write_source(tmp_path)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert {one.partition("<")[0].partition(">")[0] for one in project["dependencies"]} == {
        "urllib3",
        "grpcio",
        "protobuf",
    }
    assert "serving.predict.prediction" in modules()
    assert not [name for name in modules() if "local_model" in name]
    text = "".join(path.read_text() for path in tmp_path.rglob("*.py"))
    assert "from serving" not in text
    assert "from schema" not in text


def test_a_wheel_of_the_whole_project_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "PNEUMO_WHEEL"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "needs its own environment" in done.stderr
    assert not list(tmp_path.iterdir())
