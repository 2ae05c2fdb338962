"""Resolves the weights of a backbone before anything runs, or where the node of a graph runs."""

import hashlib
import itertools
import logging
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from core.models.backbones import BACKBONES, build_network
from core.models.options import ModelOptions
from schema.errors import PneumoError
from schema.files import sha256_of_file
from schema.storage import fetch, is_remote, join

DEFERRED: Final = "deferred"

log = logging.getLogger("pneumo.weights")


@dataclass(frozen=True)
class BackboneWeights:
    """Where a backbone starts from.

    Attributes:
      kind: "imagenet" (Keras's own download), "file" (given by the user) or "random"; "deferred" in
        a graph that was compiled for another machine, see `resolve_deferred`.
      file: path of the weight file; empty when random.
      sha256: hex digest of that file; empty when random. Part of the cache key of training.
      reason: why it is random although the configuration asked for more; empty otherwise.
      published: "yes" where the file has the digest of the ImageNet weights that Keras publishes,
        "no" where it has another one (it may have been trained further), "unknown" where Keras
        publishes none; empty when random.
    """

    kind: str
    file: str = ""
    sha256: str = ""
    reason: str = ""
    published: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain strings, for JSON."""
        return asdict(self)

    def notice(self, backbone: str) -> str:
        """One line for the log, the report and the model card; empty when there is nothing odd."""
        if self.kind != "random":
            return ""
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"RANDOM WEIGHTS: {backbone} was not pre-trained{why}; the numbers are those of a "
            "network that had learned nothing before, not of transfer learning."
        )


def resolve_weights(model: ModelOptions, environment: str | None = None) -> BackboneWeights:
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
        return BackboneWeights("random")
    if model.weights != "imagenet":
        return _from_path(model.backbone, Path(model.weights).expanduser(), "model.weights")
    given = os.environ.get("PNEUMO_WEIGHTS", "") if environment is None else environment
    if given:
        found = _from_environment(model, Path(given).expanduser())
        if found:
            return found
    cached = _keras_cache() / BACKBONES[model.backbone].weight_file
    try:
        if not cached.is_file():
            # Least trouble with sizes: the MobileNets' files have the size in their name.
            build_network(model.backbone, 224, "imagenet")
        return _found("imagenet", model.backbone, cached)
    except PneumoError:
        raise  # a file is there and does not fit; nobody should take random weights for that
    except Exception as error:  # the download raises plain Exception
        line = (str(error).strip().splitlines() or [repr(error)])[0]
        line = re.sub(r" on https?://\S+:?", ":", line)[:160]
        if model.on_missing == "random":
            return BackboneWeights("random", reason=f"no ImageNet weights here: {line}")
        raise PneumoError(
            f"ImageNet weights of {model.backbone} cannot be downloaded ({line}); give the file "
            f"{BACKBONES[model.backbone].weight_file} with --weights FILE or PNEUMO_WEIGHTS, "
            "or set model.on_missing=random"
        ) from None


def defer_weights(model: ModelOptions) -> BackboneWeights:
    """Returns what a compiled graph carries: `file` is model.weights, `reason` is on_missing."""
    return BackboneWeights(DEFERRED, file=model.weights, reason=model.on_missing)


def resolve_deferred(weights: BackboneWeights, backbone: str) -> BackboneWeights:
    """Resolves deferred weights on the machine of a node; resolved ones are returned unchanged.

    `file` of deferred weights is imagenet, random, a file, or a URI: of a weight file, or of a
    folder that holds one under Keras's name.

    Raises:
      PneumoError: they cannot be had.
    """
    if weights.kind != DEFERRED:
        return weights
    file = weights.file
    if is_remote(file):
        name = BACKBONES[backbone].weight_file
        uri = file if file.endswith((".h5", ".hdf5")) else join(file, name)
        # One place for each address: several nodes on one machine fetch it once.
        folder = hashlib.sha256(uri.encode()).hexdigest()[:16]
        local = Path(tempfile.gettempdir()) / "pneumo-weights" / folder / name
        file = str(local if local.is_file() else fetch(uri, local))
    values = {"backbone": backbone, "weights": file, "on_missing": weights.reason or "stop"}
    return resolve_weights(ModelOptions.model_validate(values))


def _from_environment(model: ModelOptions, path: Path) -> BackboneWeights | None:
    if path.is_dir() and not (path / BACKBONES[model.backbone].weight_file).is_file():
        return None  # a folder for several backbones, and this one is not in it
    if path.is_file() and path.name != BACKBONES[model.backbone].weight_file:
        return None  # the file of another backbone
    return _from_path(model.backbone, path, "PNEUMO_WEIGHTS")


def _keras_cache() -> Path:
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def _from_path(backbone: str, path: Path, where: str) -> BackboneWeights:
    file = path / BACKBONES[backbone].weight_file if path.is_dir() else path
    if not file.is_file():
        raise PneumoError(f"weight file {file} (from {where}) does not exist; check the path")
    return _found("file", backbone, file)


def _found(kind: str, backbone: str, file: Path) -> BackboneWeights:
    """Checks a file that exists; one that has the published digest fits by that alone."""
    published = is_published(backbone, file)
    if published != "yes":
        check_weight_file(backbone, file)
    log.info(
        "%s starts from %s; the digest that Keras publishes: %s",
        backbone,
        file,
        {"yes": "the same", "no": "another one", "unknown": "not known"}[published],
    )
    file = file.resolve() if kind == "file" else file
    return BackboneWeights(kind, str(file), sha256_of_file(file), published=published)


def is_published(backbone: str, file: Path) -> str:
    """Whether a file is the one that Keras publishes: "yes", "no" or "unknown"."""
    expected = BACKBONES[backbone].weight_hash
    if not expected:
        return "unknown"
    with file.open("rb") as stream:
        # MD5 tells files apart here, it keeps nobody out.
        found = hashlib.file_digest(stream, "md5" if len(expected) == 32 else "sha256")
    return "yes" if found.hexdigest() == expected else "no"


def check_weight_file(backbone: str, file: Path) -> None:
    """Holds a weight file against the network, layer by layer, without loading it.

    Raises:
      PneumoError: not an HDF5 weight file, or its shapes are not those of the backbone without top.
    """
    import h5py

    try:
        with h5py.File(file, "r") as store:
            group = store.get("model_weights", store)
            layers = [
                sorted(tuple(group[name][weight].shape) for weight in weights)
                for name in _names(group, "layer_names")
                if (weights := _names(group[name], "weight_names"))
            ]
    except (OSError, KeyError, AttributeError) as error:
        raise PneumoError(f"{file} is not a Keras weight file in HDF5 ({error})") from None
    # The least that every network takes: shapes of weights do not depend on it.
    network = build_network(backbone, 96, None)
    expected = [
        sorted(tuple(weight.shape) for weight in layer.weights)
        for layer in network.layers
        if layer.weights
    ]
    if layers != expected:
        where = next(
            (i for i, pair in enumerate(zip(layers, expected, strict=False)) if pair[0] != pair[1]),
            min(len(layers), len(expected)),
        )
        raise PneumoError(
            f"{file} does not fit {backbone} without top: it holds {_tensors(layers)} tensors, the "
            f"network has {_tensors(expected)}, and layer {where + 1} of those with weights "
            f"differs; the right file is {BACKBONES[backbone].weight_file}"
        )


def _tensors(layers: list[list[tuple[int, ...]]]) -> int:
    return sum(len(layer) for layer in layers)


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; Keras spreads a long one over attributes name0, name1, ..."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    chunks = itertools.takewhile(
        lambda key: key in group.attrs, (f"{attribute}{i}" for i in itertools.count())
    )
    return [_text(name) for key in chunks for name in group.attrs[key]]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
