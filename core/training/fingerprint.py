"""Checkpoint and log folders of a training run; the first is named after inputs and options."""

import glob
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.training.job import Job
from core.training.loop.curves import OutputPaths
from schema.storage import join

if TYPE_CHECKING:
    from tfx.v1.components import FnArgs

_END: Final = 2**16  # bytes


def checkpoint_folder(job: Job, fn_args: "FnArgs") -> str:
    """Returns the checkpoint folder of this training run; it is deleted on success."""
    return join(job.checkpoints, fingerprint(fn_args))


def output_paths(
    job: Job, folder: Path, fn_args: "FnArgs", name: str = ""
) -> Callable[[int], OutputPaths]:
    """Returns seed -> the folders that a member writes to while it is trained.

    Args:
      job: configuration.
      folder: training record.
      fn_args: inputs of the training run.
      name: of the recipe; empty for the only one.
    """
    checkpoints, logs = checkpoint_folder(job, fn_args), folder / "tensorboard"
    if name:
        checkpoints, logs = join(checkpoints, name), logs / name
    return lambda seed: OutputPaths(checkpoints, logs / f"seed-{seed}")


def fold_paths(job: Job, folder: Path, fn_args: "FnArgs", name: str) -> OutputPaths:
    """Returns the folders of a member that is trained for a fold of shifted validation."""
    checkpoints = join(checkpoint_folder(job, fn_args), name)
    return OutputPaths(checkpoints, folder / "tensorboard" / name)


def fingerprint(fn_args: "FnArgs") -> str:
    """Returns a digest of the inputs of a training run and of every option that changes it.

    The folder of the inputs is not part of it, so a run resumes after they were moved.
    """
    config = {k: v for k, v in fn_args.custom_config.items() if k != "checkpoints"}
    # The digest of the weights identifies them; their path does not.
    config["weights"] = _without_path(config["weights"])
    config["member_weights"] = [_without_path(one) for one in config.get("member_weights", ())]
    parts = [
        _contents(fn_args.train_files),
        _contents(fn_args.eval_files),
        config,
        fn_args.hyperparameters,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_path(weights: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in weights.items() if k != "file"}


def _contents(patterns: Sequence[str]) -> list[tuple[str, int, str]]:
    """Returns name, size in bytes, and digest of the first and last bytes of each file."""
    contents = []
    for pattern in patterns:
        for path in sorted(map(Path, glob.glob(pattern))):  # noqa: PTH207  an absolute pattern
            if not path.is_file():
                continue
            size = path.stat().st_size
            with path.open("rb") as file:
                ends = file.read(_END)
                file.seek(max(0, size - _END))
                ends += file.read(_END)
            contents.append((path.name, size, hashlib.sha256(ends).hexdigest()))
    return contents
