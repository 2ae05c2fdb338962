import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import pneumo
from pipeline.runners.workspace import Workspace, check_work_folder, lock_workspace
from schema.errors import PneumoError
from schema.files import has_pattern


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        lock_workspace(tmp_path / "work"),
        pytest.raises(PneumoError, match="another run is working"),
        lock_workspace(tmp_path / "work"),
    ):
        pass
    with lock_workspace(tmp_path / "work") as again:
        assert again.folder == (tmp_path / "work").resolve()


def test_a_killed_run_frees_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path\n"
        "from pipeline.runners.workspace import lock_workspace\n"
        f"with lock_workspace(Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with lock_workspace(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PneumoError, match="--workdir"), lock_workspace(tmp_path / "file" / "work"):
        pass


NOISE = """
import ctypes, logging, sys
from pathlib import Path
from pipeline.runners.workspace import redirect_output
with redirect_output(Path(sys.argv[1])) as terminal:
    print("from print")
    print("from stderr", file=sys.stderr)
    logging.getLogger("some.library").info("from logging")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    terminal.write("for the user\\n")
print("after")
"""


def test_quiet_catches_python_and_c_and_logging(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", NOISE, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "for the user\nafter\n"
    assert done.stderr == ""
    text = log.read_text()
    for part in ("from print", "from stderr", "from logging", "from C"):
        assert part in text
    assert "for the user" not in text


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--config", "demo", "--data", "."],
        ["compare", "demo", "--data", "."],
        ["watch", "--once", "--config", "demo", "--data", "."],
        ["demo", "--n", "8"],
    ],
)
@pytest.mark.parametrize("name", ["run [v2]", "a*", "why?", "back\\slash"])
def test_a_work_folder_that_is_a_pattern_is_refused_before_anything_runs(
    command: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(pneumo, [*command, "--workdir", name])
    assert isinstance(done.exception, PneumoError), done.output
    message = str(done.exception)
    assert f"work folder {tmp_path / name} contains one of" in message and "\n" not in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["k=v", "100% #1", "é ü", "a]", "{a},b:c", 'it\'s "so"'])
def test_other_work_folders(tmp_path: Path, name: str) -> None:
    assert check_work_folder(tmp_path / name) == tmp_path / name


def test_a_link_to_a_pattern(tmp_path: Path) -> None:
    """TFX and Beam see the path of the link; data folders get a link in the work folder."""
    (tmp_path / "data [1]").mkdir()
    (tmp_path / "data [1]" / "train-0.tfrecord").touch()
    (tmp_path / "link").symlink_to(tmp_path / "data [1]")
    assert check_work_folder(tmp_path / "link") == tmp_path / "link"
    work = Workspace(tmp_path / "work")
    work.folder.mkdir()
    assert work.literal(tmp_path / "work") == tmp_path / "work"
    links = {work.literal(tmp_path / name) for name in ("data [1]", "link", "data [1]/")}
    (link,) = links
    assert not has_pattern(link) and link.is_relative_to(work.folder)

    import tensorflow as tf
    from apache_beam.io.filesystems import FileSystems

    pattern = str(link / "train-*.tfrecord")
    expected = [str(link / "train-0.tfrecord")]
    assert tf.io.gfile.glob(pattern) == expected
    (match,) = FileSystems.match([pattern])
    assert [found.path for found in match.metadata_list] == expected
