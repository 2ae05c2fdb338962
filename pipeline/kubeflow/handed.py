"""What the platform hands to a task (ExecutorInput), moved to this machine and back.

TFX's components read and write files. Where artifacts lie in an object store they get copies: each
input below one scratch folder, and a folder there for each output, that goes to the store at the
end. What is in this machine's file system already is used where it is.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.kubeflow.parameters import apply_parameters, split_parameters
from schema import storage
from schema.storage import ORIGIN

if TYPE_CHECKING:
    from kfp.pipeline_spec import pipeline_spec_pb2 as kfp

INPUT_BASE: Final = "input_base"
# Artifacts that are a file and not a folder.
_FILES: Final = frozenset(
    f"tfx.{name}" for name in ("String", "Integer", "Float", "Boolean", "Bytes", "JsonValue")
)

log = logging.getLogger("pneumo.task")


@dataclass
class Task:
    """One task of a compiled graph.

    Attributes:
      given: what the platform says.
      types: the types of its inputs, as they were compiled.
      scratch: an empty folder for copies.
      local: whether the component works on copies; False where workers of its engine are on other
        machines and must see the artifacts themselves.
      copies: URI -> path of its copy.
      outputs: local folder -> URI, of what is to be put into a store.
    """

    given: "kfp.ExecutorInput"
    types: "kfp.ComponentInputsSpec"
    scratch: Path
    local: bool = True
    copies: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    def fill_in(self, executor: str) -> None:
        """Puts types and parameters where the component looks for them.

        Kubeflow Pipelines hands inputs over without a type, and TFX insists on one.

        Args:
          executor: path of the executor class.

        Raises:
          PneumoError: a parameter has a value that it cannot have.
        """
        from google.protobuf import json_format

        for key, artifacts in self.given.inputs.artifacts.items():
            for artifact in artifacts.artifacts:
                if not artifact.HasField("type") and key in self.types.artifacts:
                    artifact.type.CopyFrom(self.types.artifacts[key].artifact_type)
        values = self.given.inputs.parameter_values
        was = {name: json_format.MessageToDict(value) for name, value in values.items()}
        own, asked = split_parameters(was)
        now = apply_parameters(executor, own, asked)
        for name in was.keys() - now.keys():
            del values[name]
        for name, value in now.items():
            if name not in was or was[name] != value:
                json_format.ParseDict(value, values[name])

    def bring(self) -> None:
        """Fetches inputs, and makes a folder for each output.

        Raises:
          PneumoError: the store cannot be asked, or records are not there.
        """
        for key, artifacts in self.given.inputs.artifacts.items():
            for number, artifact in enumerate(artifacts.artifacts):
                uri = artifact.uri
                if self.local and storage.is_remote(uri):
                    if uri not in self.copies:
                        self.copies[uri] = self._fetch(
                            key, uri, self.scratch / "in" / f"{key}-{number}"
                        )
                    artifact.uri = self.copies[uri]
                    artifact.metadata[ORIGIN] = uri
        values = self.given.inputs.parameter_values
        base = values[INPUT_BASE].string_value if INPUT_BASE in values else ""
        if self.local and storage.is_remote(base):
            here = self.scratch / "in" / INPUT_BASE
            began = time.monotonic()
            storage.fetch(base, here)
            _tell("fetched", INPUT_BASE, base, here, began)
            values[INPUT_BASE].string_value = str(here)
        for key, artifacts in self.given.outputs.artifacts.items():
            for number, artifact in enumerate(artifacts.artifacts):
                self._make_room(artifact, self.scratch / "out" / f"{key}-{number}")

    def send(self) -> None:
        """Puts outputs into their store; what a killed attempt left there is gone.

        Raises:
          PneumoError: the store does not take them.
        """
        for here, uri in self.outputs.items():
            began = time.monotonic()
            if Path(here).exists():
                storage.put(Path(here), uri)
            _tell("put", "output", uri, Path(here), began)

    def named(self, told: str) -> str:
        """What a component says of its outputs, with the URIs that the platform knows.

        Evaluator and Gate also write down which model they looked at: the paths of copies.
        """
        places = {**{here: uri for uri, here in self.copies.items()}, **self.outputs}
        for here, uri in places.items():
            told = re.sub(re.escape(json.dumps(here)[:-1]) + '(?=["/])', _inside(uri), told)
        return told

    def _fetch(self, key: str, uri: str, here: Path) -> str:
        began = time.monotonic()
        if storage.exists(uri):
            storage.fetch(uri, here)
        else:
            # A store has no empty folders, and some outputs are: a model that was not pushed.
            here.mkdir(parents=True)
        _tell("fetched", key, uri, here, began)
        return str(here)

    def _make_room(self, artifact: "kfp.RuntimeArtifact", here: Path) -> None:
        if storage.is_remote(artifact.uri):
            if not self.local:
                return
            self.outputs[str(here)] = artifact.uri
            artifact.uri = str(here)
        else:
            here = Path(artifact.uri.removeprefix("file://"))
            storage.remove(str(here))  # of a killed attempt
        (here.parent if _title(artifact.type) in _FILES else here).mkdir(
            parents=True, exist_ok=True
        )


def _inside(text: str) -> Callable[[object], str]:
    """A JSON string without its end, as a replacement that is taken as it stands."""
    opened = json.dumps(text)[:-1]
    return lambda _: opened


def _title(kind: "kfp.ArtifactTypeSchema") -> str:
    """`title: tfx.Name` of either way to write a type."""
    return kind.schema_title or kind.instance_schema.split("\n", 1)[0].removeprefix("title: ")


def _tell(what: str, name: str, uri: str, here: Path, began: float) -> None:
    files = [path for path in here.rglob("*") if path.is_file()] if here.is_dir() else [here]
    size = sum(path.stat().st_size for path in files if path.is_file())
    log.info(
        "%s %s: %s, %d files, %.1f MB, %.1f s",
        what, name, uri, len(files), size / 1e6, time.monotonic() - began,
    )  # fmt: skip
