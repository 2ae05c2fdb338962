"""Who is asked about images: a server, or a SavedModel in this process."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from serving.answer import Prediction
    from serving.client import Client
    from serving.dicom_out import Algorithm

ASKED = "serving_default"


class Source(Protocol):
    """Answers about files.

    Attributes:
      classes: names, in the order of the probabilities.
      explains: whether there is a signature `explain`, that tells places.
      located: whether every answer tells places.
    """

    classes: list[str]
    explains: bool
    located: bool

    def answers(self, files: Iterable[Path], signature: str = ASKED) -> "Iterator[Prediction]":
        """In the order of the files."""

    def algorithm(self) -> "Algorithm":
        """Who it is."""


class Server:
    """Answers from an endpoint."""

    def __init__(self, client: "Client", name: str) -> None:
        self._client, self._name = client, name
        self.classes = client.classes()
        doors = client.signatures()
        self.explains = "explain" in doors
        self.located = "boxes" in doors.get("serving_default", [])

    def answers(self, files: Iterable[Path], signature: str = ASKED) -> "Iterator[Prediction]":
        """In the order of the files."""
        from serving.client import Image

        return self._client.predict(map(Image.of_file, files), signature)

    def algorithm(self) -> "Algorithm":
        """A server tells the version, and neither digest nor thresholds."""
        from serving.dicom_out import Algorithm

        ready = [number for number, state in self._client.status().items() if state == "AVAILABLE"]
        return Algorithm(self._name, str(max(ready, default=0)))


class Local:
    """Answers from a SavedModel in this process."""

    def __init__(self, folder: Path, batch_size: int, name: str) -> None:
        from serving.predict import load_model

        self._model, self._batch_size, self._name = load_model(folder), batch_size, name
        self.classes: list[str] = self._model.facts.get("classes", [])
        doors = self._model.loaded.signatures
        self.explains = "explain" in doors
        self.located = "boxes" in doors["serving_default"].structured_outputs

    def answers(self, files: Iterable[Path], signature: str = ASKED) -> "Iterator[Prediction]":
        """In the order of the files."""
        from serving.predict import predict_files

        return predict_files(self._model, files, self._batch_size, signature)

    def algorithm(self) -> "Algorithm":
        """Version and digest of the folder, and what its facts tell."""
        from serving.dicom_out import algorithm_of

        facts = self._model.facts
        return algorithm_of(self._model.folder, facts, str(facts.get("name") or self._name))
