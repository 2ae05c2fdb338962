"""Finds the weights of a trunk before anything runs, and says plainly what it found."""

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from components.trainer.options import ModelOptions
from components.trainer.trunks import TRUNKS, build_trunk
from schema.errors import PneumoError
from schema.hashing import sha256_of_file


@dataclass(frozen=True)
class Weights:
    """Where a trunk starts from.

    Attributes:
      kind: "imagenet" (Keras's own download), "file" (given by the user) or "random".
      file: path of the weight file; empty when random.
      sha256: hex digest of that file; empty when random. Part of the cache key of training.
      reason: why it is random although the configuration asked for more; empty otherwise.
    """

    kind: str
    file: str = ""
    sha256: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain strings, for JSON."""
        return asdict(self)

    def notice(self, trunk: str) -> str:
        """One line for the log, the report and the model card; empty when there is nothing odd."""
        if self.kind != "random":
            return ""
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"RANDOM WEIGHTS: {trunk} was not pre-trained{why}; the numbers are those of a network "
            "that had learned nothing before, not of transfer learning."
        )


def resolve_weights(model: ModelOptions, environment: str | None = None) -> Weights:
    """Decides which weights a run uses.

    `random` stays random. A path must exist and fit. `imagenet` looks at PNEUMO_WEIGHTS (a file, or
    a folder that holds the file under Keras's name), then at Keras's cache, then downloads.

    Args:
      model: the model's options.
      environment: value of PNEUMO_WEIGHTS; none reads the variable.

    Raises:
      PneumoError: a given file is missing or does not fit, or ImageNet weights cannot be had and
        the options say `on_missing: stop`.
    """
    if model.weights == "random":
        return Weights("random")
    if model.weights != "imagenet":
        return _from_path(model.trunk, Path(model.weights).expanduser(), "model.weights")
    given = os.environ.get("PNEUMO_WEIGHTS", "") if environment is None else environment
    if given:
        found = _from_environment(model, Path(given).expanduser())
        if found:
            return found
    cached = Path.home() / ".keras" / "models" / TRUNKS[model.trunk].weight_file
    try:
        if not cached.is_file():
            build_trunk(model.trunk, 224, "imagenet")
        return Weights("imagenet", str(cached), sha256_of_file(cached))
    except Exception as error:  # the download raises plain Exception
        line = (str(error).strip().splitlines() or [repr(error)])[0]
        line = re.sub(r" on https?://\S+:?", ":", line)[:160]
        if model.on_missing == "random":
            return Weights("random", reason=f"no ImageNet weights here: {line}")
        raise PneumoError(
            f"ImageNet weights of {model.trunk} cannot be downloaded ({line}); give the file "
            f"{TRUNKS[model.trunk].weight_file} with --weights FILE or PNEUMO_WEIGHTS, "
            "or set model.on_missing=random"
        ) from None


def _from_environment(model: ModelOptions, path: Path) -> Weights | None:
    if path.is_dir() and not (path / TRUNKS[model.trunk].weight_file).is_file():
        return None  # a folder for several trunks, and this one is not in it
    if path.is_file() and path.name != TRUNKS[model.trunk].weight_file:
        return None  # the file of another trunk
    return _from_path(model.trunk, path, "PNEUMO_WEIGHTS")


def _from_path(trunk: str, path: Path, where: str) -> Weights:
    file = path / TRUNKS[trunk].weight_file if path.is_dir() else path
    if not file.is_file():
        raise PneumoError(f"weight file {file} (from {where}) does not exist; check the path")
    check_weight_file(trunk, file)
    return Weights("file", str(file.resolve()), sha256_of_file(file))


def check_weight_file(trunk: str, file: Path) -> None:
    """Holds a weight file against the network, tensor by tensor, without loading it.

    Raises:
      PneumoError: not an HDF5 weight file, or its shapes are not those of the trunk without top.
    """
    import h5py

    try:
        with h5py.File(file, "r") as store:
            group = store.get("model_weights", store)
            names = [_text(name) for name in group.attrs.get("layer_names", [])]
            shapes = sorted(
                tuple(group[name][_text(weight)].shape)
                for name in names
                for weight in group[name].attrs.get("weight_names", [])
            )
    except (OSError, KeyError) as error:
        raise PneumoError(f"{file} is not a Keras weight file in HDF5 ({error})") from None
    network = build_trunk(trunk, 224, None)
    expected = sorted(tuple(weight.shape) for weight in network.weights)
    if shapes != expected:
        raise PneumoError(
            f"{file} does not fit {trunk} without top: it holds {len(shapes)} tensors, the network "
            f"has {len(expected)}; the right file is {TRUNKS[trunk].weight_file}"
        )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
