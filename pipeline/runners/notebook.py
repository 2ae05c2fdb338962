"""Runs the commands of PneumoTFX from a notebook; on Colab in an environment of its own.

Imports only what every notebook has, because Colab's Python has no packages of TFX.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
COLAB_ENVIRONMENT = Path("/content/pneumo-env")
# A notebook asks for colors and inline figures; a command whose lines are copied has neither.
ENVIRONMENT = {
    "FORCE_COLOR": "",
    "MPLBACKEND": "agg",
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TQDM_MININTERVAL": "15",
}
# What TensorFlow logs before its log level applies.
_TENSORFLOW_LOG = re.compile(r"I\d{4} |WARNING: All log messages before absl")
_INSTALL = """
pip install --quiet uv
uv python install 3.11
PYTHON=$(uv python find --managed-python 3.11) bash requirements/setup.sh "$1"
if nvidia-smi > /dev/null 2>&1; then
  version=$(grep '^tensorflow==' requirements/lock-glibc-lt-2.39.txt | sed 's/.*==//; s/ .*//')
  uv pip install --quiet --python "$1" "tensorflow[and-cuda]==$version"
fi
"""
_DEVICES = """
import tensorflow as tf

gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")]
print("TensorFlow", tf.__version__, "on", ", ".join(gpus) or "CPU")
"""


@dataclass(frozen=True)
class Session:
    """The commands of the project, run by an interpreter that has its packages.

    Attributes:
      python: the interpreter.
    """

    python: Path = Path(sys.executable)

    @classmethod
    def on_colab(cls) -> "Session":
        """Installs the locked packages into an environment of their own; takes some minutes."""
        if not (COLAB_ENVIRONMENT / ".ready").exists():
            stream("bash", "-euo", "pipefail", "-c", _INSTALL, "install", COLAB_ENVIRONMENT)
        return cls(COLAB_ENVIRONMENT / "bin" / "python")

    def pneumo(self, *arguments: object) -> None:
        """Runs `pneumo ARGUMENTS` and prints its lines as they come.

        Raises:
          RuntimeError: the command failed.
        """
        stream(self.python, "-m", "pipeline.cli", *arguments)

    def devices(self) -> str:
        """Returns the version of TensorFlow and the GPUs that it can use."""
        done = subprocess.run(
            [self.python, "-c", _DEVICES],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **ENVIRONMENT},
        )
        return done.stdout.strip()


def stream(*command: object) -> None:
    """Runs a command in the repository and prints its lines as they come.

    Raises:
      RuntimeError: the command failed; its last line has the reason.
    """
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT if command[0] == "bash" else None,
        env={**os.environ, **ENVIRONMENT},
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if not _TENSORFLOW_LOG.match(line):
                print(line, end="", flush=True)
        status = process.wait()
    finally:
        process.terminate()  # if the cell is interrupted
    if status:
        raise RuntimeError(f"exit status {status}; the last line above has the reason")


def list_images(folder: str | Path) -> "pd.DataFrame":
    """Lists the images of a data set in `{train,val,test}/{NORMAL,PNEUMONIA}/`.

    The Kaggle archive contains everything twice; each image is listed once.

    Returns:
      Columns split, label, file.
    """
    import pandas as pd

    from core.ingest.scan import DICOM_SUFFIXES, IMAGE_SUFFIXES, scan

    folder = Path(folder)
    found = sorted(folder / entry.path for entry in scan(folder) if entry.kind == "file")
    files = {
        (file.parent.parent.name, file.parent.name, file.name): file
        for file in found
        if file.suffix.lower() in IMAGE_SUFFIXES - DICOM_SUFFIXES
    }
    rows = [(split, label, file) for (split, label, _), file in files.items()]
    return pd.DataFrame(rows, columns=["split", "label", "file"])


def show_samples(images: "pd.DataFrame", per_class: int = 4) -> Any:
    """Draws images of each class in a row; returns the figure."""
    import matplotlib.pyplot as plt

    classes = sorted(images.label.unique())
    figure, axes = plt.subplots(
        len(classes),
        per_class,
        figsize=(2.5 * per_class, 2.6 * len(classes)),
        squeeze=False,
        layout="constrained",
    )
    for row, label in zip(axes, classes, strict=True):
        files = images.file[images.label == label]
        for axis in row:
            axis.axis("off")
        for axis, file in zip(row, files[:: max(1, len(files) // per_class)], strict=False):
            axis.imshow(plt.imread(file), cmap="gray")
            axis.set_title(label, fontsize=9)
    return figure


def restore(work: str | Path, keep: str | Path) -> bool:
    """Unpacks the work folder that `save` kept, unless there is one already.

    Returns:
      Whether a work folder was unpacked.
    """
    archive = Path(keep) / "work.tar"
    if Path(work).exists() or not archive.is_file():
        return False
    with tarfile.open(archive) as stored:
        stored.extractall(work, filter="data")
    return True


def save(work: str | Path, keep: str | Path, *copies: str | Path) -> None:
    """Packs the work folder as `keep/work.tar` and copies files and folders beside it.

    A network folder such as Drive is slow with many files and cannot hold a database in use.
    """
    keep = Path(keep)
    keep.mkdir(parents=True, exist_ok=True)
    partial = keep / "work.tar.partial"
    with tarfile.open(partial, "w") as archive:
        archive.add(work, arcname=".")
    partial.replace(keep / "work.tar")
    for path in map(Path, copies):
        if path.is_dir():
            shutil.copytree(path, keep / path.parent.name / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, keep)
