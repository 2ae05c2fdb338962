"""Resolves the initial weights of a backbone: ImageNet, a file, or random."""

import hashlib
import logging
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from core.models.backbones import BACKBONES, build_network
from core.models.options import ModelOptions
from core.models.weight_files import is_hdf5, is_keras_3, layer_shapes, load_weights
from schema.errors import PneumoError, one_line
from schema.files import sha256_of_file
from schema.storage import fetch, is_remote, join

DEFERRED: Final = "deferred"

log = logging.getLogger("pneumo.weights")


@dataclass(frozen=True)
class BackboneWeights:
    """Initial weights of a backbone.

    Attributes:
      kind: "imagenet" (downloaded by Keras), "file" (supplied by the user) or "random"; "deferred"
        in a graph that was compiled for another machine, see `resolve_deferred`.
      file: path of the weight file; empty for random weights.
      sha256: hex digest of that file; empty for random weights. Part of the cache key of training.
      reason: why the weights are random although the configuration names others; else empty.
      published: "yes" if the file has the digest that Keras publishes for the ImageNet weights,
        "no" if not (for example after further training), "unknown" if Keras publishes no digest;
        empty for random weights.
    """

    kind: str
    file: str = ""
    sha256: str = ""
    reason: str = ""
    published: str = ""

    def to_dict(self) -> dict[str, str]:
        """Returns the attributes for JSON."""
        return asdict(self)

    def notice(self, backbone: str) -> str:
        """Returns a one-line warning about random weights; empty for other weights."""
        if self.kind != "random":
            return ""
        reason = f" ({self.reason})" if self.reason else ""
        return (
            f"RANDOM WEIGHTS: {backbone} is not pretrained{reason}; the results are not those of "
            "transfer learning."
        )


def resolve_weights(model: ModelOptions, environment: str | None = None) -> BackboneWeights:
    """Returns the weights that a run uses.

    A path must exist and match the backbone. For `imagenet`, PNEUMO_WEIGHTS has priority over
    Keras's cache and the download: a file or folder; a file with another name than Keras's is used
    if its tensors are those of the backbone.

    Args:
      model: options of the model.
      environment: value of PNEUMO_WEIGHTS; None: read the environment variable.

    Raises:
      PneumoError: a weight file is missing or does not match, or the ImageNet weights are not
        available and `on_missing` is "stop".
    """
    if model.weights == "random":
        return BackboneWeights("random")
    if model.weights != "imagenet":
        path = Path(model.weights).expanduser()
        return _from_path(model.backbone, path, "model.weights")
    named = os.environ.get("PNEUMO_WEIGHTS", "") if environment is None else environment
    unused = ""
    if named:
        weights, unused = _from_environment(model.backbone, Path(named).expanduser())
        if weights:
            return weights
    try:
        cached = _keras_cache() / BACKBONES[model.backbone].weight_file
        if not cached.is_file():
            # 224, because the file names of the MobileNets contain the size.
            build_network(model.backbone, 224, "imagenet")
        return _checked("imagenet", model.backbone, cached)
    except PneumoError:
        raise  # a file that does not match must not be replaced by random weights
    except Exception as error:  # the download raises Exception itself
        line = (str(error).strip().splitlines() or [repr(error)])[0]
        line = re.sub(r" on https?://\S+:?", ":", line)[:160]
        line = f"{line}; {unused}" if unused else line
        if model.on_missing == "random":
            return BackboneWeights("random", reason=f"ImageNet weights not available: {line}")
        raise PneumoError(
            f"ImageNet weights of {model.backbone} cannot be downloaded ({line}); pass the file "
            f"{BACKBONES[model.backbone].weight_file} with --weights FILE or PNEUMO_WEIGHTS, "
            "or set model.on_missing=random"
        ) from None


def defer_weights(model: ModelOptions) -> BackboneWeights:
    """Returns weights that the node resolves: `file` is model.weights, `reason` is on_missing."""
    return BackboneWeights(DEFERRED, file=model.weights, reason=model.on_missing)


def defer_member_weights(model: ModelOptions) -> tuple[BackboneWeights, ...]:
    """Returns weights of each member that the node resolves; no `file`: those of the model."""
    return tuple(
        BackboneWeights(DEFERRED, file=member.weights or "", reason=model.on_missing)
        for member in model.members
    )


def resolve_deferred(weights: BackboneWeights, backbone: str, default: str = "") -> BackboneWeights:
    """Resolves deferred weights on the machine of a node; resolved weights are returned unchanged.

    `file` of deferred weights is imagenet, random, a file, or the URI of a weight file or of a
    folder that contains it under Keras's name.

    Args:
      weights: of the backbone.
      backbone: key of BACKBONES.
      default: used instead of an empty `file`.

    Raises:
      PneumoError: the weights are not available.
    """
    if weights.kind != DEFERRED:
        return weights
    file = weights.file or default
    if is_remote(file):
        name = BACKBONES[backbone].weight_file
        uri = file if file.endswith((".h5", ".hdf5")) else join(file, name)
        # One folder per URI, so several nodes on one machine download it once.
        folder = hashlib.sha256(uri.encode()).hexdigest()[:16]
        local = Path(tempfile.gettempdir()) / "pneumo-weights" / folder / name
        file = str(local if local.is_file() else fetch(uri, local))
    values = {"backbone": backbone, "weights": file, "on_missing": weights.reason or "stop"}
    return resolve_weights(ModelOptions.model_validate(values))


def _in_folder(backbone: str, folder: Path, where: str) -> tuple[BackboneWeights | None, str]:
    """Looks for the weights of a backbone in a folder: under Keras's name, then by the tensors.

    Returns:
      The weights, or None; and which weight files were not used, and why.
    """
    exact = folder / BACKBONES[backbone].weight_file
    if exact.is_file():
        return _checked("file", backbone, exact), ""
    return _by_tensors(backbone, sorted(folder.iterdir()), where)


def _from_environment(backbone: str, path: Path) -> tuple[BackboneWeights | None, str]:
    """Looks for the weights in a file or folder named by PNEUMO_WEIGHTS; see `_in_folder`."""
    if path.is_dir():
        return _in_folder(backbone, path, "PNEUMO_WEIGHTS")
    if not path.is_file() or path.name == BACKBONES[backbone].weight_file:
        return _from_path(backbone, path, "PNEUMO_WEIGHTS"), ""
    return _by_tensors(backbone, [path], "PNEUMO_WEIGHTS")


def _by_tensors(backbone: str, files: list[Path], where: str) -> tuple[BackboneWeights | None, str]:
    """Chooses the file with the tensors of a backbone, whatever its name.

    A browser renames files, for example to "... (1).h5". Files with the name of another backbone
    are not read.
    """
    others = {info.weight_file for info in BACKBONES.values()}
    unknown = [file for file in files if file.name not in others and is_hdf5(file)]
    fitting = [file for file in unknown if _fits(backbone, file)]
    if len(fitting) > 1:
        raise PneumoError(
            f"several weight files of {backbone} (from {where}): {_quoted(fitting)} in "
            f"{fitting[0].parent}; keep one, or name one with --weights"
        )
    if fitting:
        log.warning("%s: weights from %s, by its tensors", backbone, fitting[0])
        return _checked("file", backbone, fitting[0]), ""
    if not unknown:
        return None, ""
    names = f"{_quoted(unknown)} in {unknown[0].parent}"
    return None, f"not used, because the tensors differ: {names}"


def _fits(backbone: str, file: Path) -> bool:
    try:
        check_weight_file(backbone, file)
    except PneumoError:
        return False
    return True


def _quoted(files: list[Path]) -> str:
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return ", ".join(repr(file.name) for file in files[:5]) + more


def _keras_cache() -> Path:
    home = os.environ.get("KERAS_HOME")
    try:
        return (Path(home) if home else Path.home() / ".keras") / "models"
    except RuntimeError:
        raise RuntimeError("no home folder; set HOME or KERAS_HOME") from None


def _from_path(backbone: str, path: Path, where: str) -> BackboneWeights:
    if path.is_dir():
        weights, unused = _in_folder(backbone, path, where)
        if weights is None:
            more = f" ({unused})" if unused else ""
            raise PneumoError(
                f"{path} (from {where}) has no weight file of {backbone}{more}; add "
                f"{BACKBONES[backbone].weight_file}"
            )
        return weights
    if not path.is_file():
        raise PneumoError(f"weight file {path} (from {where}) does not exist; check the path")
    return _checked("file", backbone, path)


def _checked(kind: str, backbone: str, file: Path) -> BackboneWeights:
    """Checks an existing file by its published digest, or else by the shapes of its tensors."""
    published = is_published(backbone, file)
    if published != "yes":
        check_weight_file(backbone, file)
    log.info(
        "%s: weights from %s; digest published by Keras: %s",
        backbone,
        file,
        {"yes": "matches", "no": "differs", "unknown": "unknown"}[published],
    )
    file = file.resolve() if kind == "file" else file
    return BackboneWeights(kind, str(file), sha256_of_file(file), published=published)


def is_published(backbone: str, file: Path) -> str:
    """Returns whether a file has the digest that Keras publishes: "yes", "no" or "unknown"."""
    expected = BACKBONES[backbone].weight_hash
    if not expected:
        return "unknown"
    with file.open("rb") as stream:
        # MD5 identifies the file here; it is not a security measure.
        digest = hashlib.file_digest(stream, "md5" if len(expected) == 32 else "sha256")
    return "yes" if digest.hexdigest() == expected else "no"


def check_weight_file(backbone: str, file: Path) -> None:
    """Compares the tensors of a weight file with those of the network, layer by layer.

    Raises:
      PneumoError: not an HDF5 weight file, or its tensors are not those of the backbone without
        top.
    """
    try:
        keras_3 = is_keras_3(file)
        layers = [] if keras_3 else layer_shapes(file)
    except ValueError as error:
        raise PneumoError(f"{file} is {error}") from None
    # The shapes do not depend on the input size; every network accepts 96.
    network = build_network(backbone, 96, None)
    if keras_3:
        try:
            load_weights(network, file)
        except ValueError as error:
            raise PneumoError(
                f"{file} does not match {backbone}: {one_line(error, 120)}; save the weights of "
                f"this network with save_weights, or use {BACKBONES[backbone].weight_file}"
            ) from None
        return
    expected = [
        sorted(tuple(weight.shape) for weight in layer.weights)
        for layer in network.layers
        if layer.weights
    ]
    if layers != expected:
        first = next(
            (i for i, pair in enumerate(zip(layers, expected, strict=False)) if pair[0] != pair[1]),
            min(len(layers), len(expected)),
        )
        raise PneumoError(
            f"{file} does not match {backbone} without top: the file has {_tensors(layers)} "
            f"tensors, the network {_tensors(expected)}, and layer {first + 1} of those with "
            f"weights is the first that differs; use {BACKBONES[backbone].weight_file}"
        )


def _tensors(layers: list[list[tuple[int, ...]]]) -> int:
    return sum(len(layer) for layer in layers)
