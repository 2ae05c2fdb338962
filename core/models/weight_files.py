"""Weight files of Keras: the legacy HDF5 layout of the published files, and that of Keras 3."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import h5py
    import keras

HDF5_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_KERAS_3_SUFFIX: Final = ".weights.h5"  # by which Keras selects the layout

Shapes = list[list[tuple[int, ...]]]


def is_hdf5(file: Path) -> bool:
    """Whether a file has the signature of HDF5."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError:
        return False


def is_keras_3(file: Path) -> bool:
    """Whether an HDF5 file has the layout of `Model.save_weights` in Keras 3."""
    with _opened(file) as store:
        return "layers" in store and not _names(store, "layer_names")


def layer_shapes(file: Path) -> Shapes:
    """Returns the sorted tensor shapes of each layer with weights, in the legacy layout.

    Raises:
      ValueError: not an HDF5 file, or another layout.
    """
    with _opened(file) as store:
        group = store.get("model_weights", store)
        return [
            sorted(tuple(group[name][weight].shape) for weight in weights)
            for name in _names(group, "layer_names")
            if (weights := _names(group[name], "weight_names"))
        ]


def load_weights(network: "keras.Model", file: Path) -> None:
    """Loads a weight file of either layout, whatever the name of the file.

    A file of Keras 3 may have more layers than the network, such as those of the classifier.

    Raises:
      ValueError: the tensors do not fit the network.
    """
    if not is_keras_3(file):
        network.load_weights(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / f"network{_KERAS_3_SUFFIX}"
        named.symlink_to(file.resolve())
        network.load_weights(named)
    # Keras loads by name and ignores layers that it does not find in the network.
    missing = Counter(map(_digest, network.get_weights())) - Counter(_digests(file))
    if missing:
        raise ValueError(f"{missing.total()} tensors of the network are not in the file")


def _digests(file: Path) -> Iterator[tuple[tuple[int, ...], float]]:
    import h5py

    with _opened(file) as store:
        found: list[h5py.Dataset] = []
        store.visititems(
            lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None
        )
        for item in found:
            yield _digest(np.asarray(item))


def _digest(values: np.ndarray) -> tuple[tuple[int, ...], float]:
    """Shape and sum, which differ between tensors of trained or random weights."""
    return values.shape, float(values.astype(np.float64).sum())


@contextmanager
def _opened(file: Path) -> "Iterator[h5py.File]":
    """Opens an HDF5 file; damage is a ValueError."""
    import h5py

    try:
        with h5py.File(file, "r") as store:
            yield store
    except (OSError, KeyError, AttributeError, RuntimeError) as error:
        raise ValueError(f"not a Keras weight file in HDF5 ({error})") from None


def _names(group: Any, attribute: str) -> list[str]:
    """Reads a list of names; Keras splits long lists into attributes name0, name1, ..."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    chunks = itertools.takewhile(
        lambda key: key in group.attrs, (f"{attribute}{i}" for i in itertools.count())
    )
    return [_text(name) for key in chunks for name in group.attrs[key]]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
