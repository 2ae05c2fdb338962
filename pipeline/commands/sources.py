"""Sources of predictions: a model server, or a SavedModel in this process."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from serving.client import Client
    from serving.dicom_out import Algorithm
    from serving.predict.prediction import Prediction

DEFAULT = "serving_default"


class PredictionSource(Protocol):
    """Predicts files.

    Attributes:
      classes: class names in the order of the probabilities.
      explains: whether the model has the signature `explain`, with boxes and heat maps.
      located: whether predictions have boxes.
    """

    classes: list[str]
    explains: bool
    located: bool

    def predict(self, files: Iterable[Path], signature: str = DEFAULT) -> "Iterator[Prediction]":
        """Yields predictions in the order of the files."""

    def algorithm(self) -> "Algorithm":
        """Returns the identification of the model."""


class EndpointSource:
    """Predicts with a model server."""

    def __init__(self, client: "Client", name: str) -> None:
        self._client, self._name = client, name
        self.classes = client.classes()
        signatures = client.signatures()
        self.explains = "explain" in signatures
        self.located = "boxes" in signatures.get("serving_default", [])

    def predict(self, files: Iterable[Path], signature: str = DEFAULT) -> "Iterator[Prediction]":
        """Yields predictions in the order of the files."""
        from serving.client import Image

        return self._client.predict(map(Image.of_file, files), signature)

    def algorithm(self) -> "Algorithm":
        """Returns name and version; a server provides neither digest nor thresholds."""
        from serving.dicom_out import Algorithm

        available = [
            number for number, state in self._client.status().items() if state == "AVAILABLE"
        ]
        return Algorithm(self._name, str(max(available, default=0)))


class SavedModelSource:
    """Predicts with a SavedModel in this process."""

    def __init__(self, folder: Path, batch_size: int, name: str) -> None:
        from serving.predict.local_model import load_model

        self._model, self._batch_size, self._name = load_model(folder), batch_size, name
        self.classes: list[str] = self._model.info.get("classes", [])
        signatures = self._model.loaded.signatures
        self.explains = "explain" in signatures
        self.located = "boxes" in signatures["serving_default"].structured_outputs

    def predict(self, files: Iterable[Path], signature: str = DEFAULT) -> "Iterator[Prediction]":
        """Yields predictions in the order of the files."""
        from serving.predict.local_model import predict_files

        return predict_files(self._model, files, self._batch_size, signature)

    def algorithm(self) -> "Algorithm":
        """Returns the identification of the model, with the digest of its files."""
        from serving.dicom_out import identify_algorithm

        info = self._model.info
        return identify_algorithm(self._model.folder, info, str(info.get("name") or self._name))
