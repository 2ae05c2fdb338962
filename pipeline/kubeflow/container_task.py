"""One task of a compiled graph: its ExecutorInput, copied to this machine and back.

Components read and write local files. Inputs in an object store are copied to a scratch folder;
outputs are written to a scratch folder and uploaded at the end. Artifacts on the local file system
are used in place.
"""

import json
import logging
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.kubeflow.runtime_parameters import apply_parameters
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
class ContainerTask:
    """One task of a compiled graph.

    Attributes:
      message: input of the platform.
      types: compiled types of the inputs.
      scratch: an empty folder for copies.
      local: whether the component works on copies; False: remote workers of the engine read and
        write the artifacts themselves.
      copies: URI -> path of its copy.
      outputs: local folder -> URI of each upload.
    """

    message: "kfp.ExecutorInput"
    types: "kfp.ComponentInputsSpec"
    scratch: Path
    local: bool = True
    copies: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def input_base(self) -> str:
        """Folder or URI that an ExampleGen reads; empty for other components."""
        values = self.message.inputs.parameter_values
        return values[INPUT_BASE].string_value if INPUT_BASE in values else ""

    def fill_in(self, executor: str) -> None:
        """Adds the types of inputs, which Kubeflow omits, and applies parameters.

        Args:
          executor: path of the executor class.

        Raises:
          PneumoError: a parameter has an invalid value.
        """
        from google.protobuf import json_format

        for key, artifacts in self.message.inputs.artifacts.items():
            for artifact in artifacts.artifacts:
                if not artifact.HasField("type") and key in self.types.artifacts:
                    artifact.type.CopyFrom(self.types.artifacts[key].artifact_type)
        values = self.message.inputs.parameter_values
        before = {name: json_format.MessageToDict(value) for name, value in values.items()}
        after = apply_parameters(executor, before)
        for name in before.keys() - after.keys():
            del values[name]
        for name, value in after.items():
            if before.get(name) != value:
                json_format.ParseDict(value, values[name])

    def fetch(self) -> None:
        """Downloads the inputs and creates a folder for each output.

        Raises:
          PneumoError: the store does not respond, or the records do not exist.
        """
        for key, artifacts in self.message.inputs.artifacts.items():
            for number, artifact in enumerate(artifacts.artifacts):
                uri = artifact.uri
                if self.local and storage.is_remote(uri):
                    if uri not in self.copies:
                        here = self.scratch / "in" / f"{key}-{number}"
                        # Object stores have no empty folders, and some outputs are empty.
                        self._download(key, uri, here, may_be_empty=True)
                        self.copies[uri] = str(here)
                    artifact.uri = self.copies[uri]
                    artifact.metadata[ORIGIN] = uri
        if self.local and storage.is_remote(self.input_base):
            here = self.scratch / "in" / INPUT_BASE
            self._download(INPUT_BASE, self.input_base, here)
            self.message.inputs.parameter_values[INPUT_BASE].string_value = str(here)
        for key, artifacts in self.message.outputs.artifacts.items():
            for number, artifact in enumerate(artifacts.artifacts):
                self._prepare_output(artifact, self.scratch / "out" / f"{key}-{number}")

    def upload(self) -> None:
        """Uploads the outputs; replaces those of a killed attempt.

        Raises:
          PneumoError: the store rejects the upload.
        """
        for here, uri in self.outputs.items():
            began = time.monotonic()
            if Path(here).exists():
                storage.put(Path(here), uri)
            _log_transfer("uploaded", "output", uri, Path(here), began)

    def with_uris(self, text: str) -> str:
        """Replaces paths of copies in the executor's output by their URIs.

        Evaluator and Gate, for example, record the model that they read.
        """
        copies = {here: uri for uri, here in self.copies.items()}
        for here, uri in {**copies, **self.outputs}.items():
            path, replacement = (json.dumps(value)[:-1] for value in (here, uri))
            text = re.sub(re.escape(path) + '(?=["/])', replacement.replace("\\", r"\\"), text)
        return text

    def _download(self, key: str, uri: str, here: Path, may_be_empty: bool = False) -> None:
        began = time.monotonic()
        if may_be_empty and not storage.exists(uri):
            here.mkdir(parents=True)
        else:
            storage.fetch(uri, here)
        _log_transfer("downloaded", key, uri, here, began)

    def _prepare_output(self, artifact: "kfp.RuntimeArtifact", here: Path) -> None:
        if storage.is_remote(artifact.uri):
            if not self.local:
                return
            self.outputs[str(here)] = artifact.uri
            artifact.uri = str(here)
        else:
            here = Path(artifact.uri.removeprefix("file://"))
            storage.remove(str(here))  # of a killed attempt
        kind = artifact.type
        title = kind.schema_title or kind.instance_schema.split("\n", 1)[0].removeprefix("title: ")
        (here.parent if title in _FILES else here).mkdir(parents=True, exist_ok=True)


def _log_transfer(action: str, name: str, uri: str, here: Path, began: float) -> None:
    files = [path for path in (here, *here.rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    seconds = time.monotonic() - began
    log.info("%s %s: %s, %d files, %.1f MB, %.1f s", action, name, uri, len(files), size, seconds)
