"""A SavedModel as a server sees it: signatures, proof that it answers, answers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.server.codec import Column, Spec

WARMUP = "assets.extra/tf_serving_warmup_requests"


class Saved:
    """A loaded SavedModel.

    Args:
      folder: of the SavedModel.
      threads: for the arithmetic of one operation.

    Raises:
      Exception: TensorFlow's own, where it cannot be loaded.
      ValueError: it has no signature serving_default.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf
        from tensorflow.python.saved_model import loader_impl

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        self.folder = folder
        self.facts = facts_of(folder)
        graph = loader_impl.parse_saved_model(str(folder)).meta_graphs[0]
        self.definitions = {
            name: definition
            for name, definition in graph.signature_def.items()
            if not name.startswith("__")
        }
        if "serving_default" not in self.definitions:
            raise ValueError("there is no signature serving_default")
        self.loaded = tf.saved_model.load(str(folder))
        self.inputs = {
            name: {
                of: Spec(
                    tf.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim)
                )
                for of, info in definition.inputs.items()
            }
            for name, definition in self.definitions.items()
        }

    def ask(self, signature: str, inputs: Mapping[str, Column]) -> dict[str, Column]:
        """Calls a signature.

        Returns:
          Output -> rows: arrays of numbers, nested lists of bytes for strings.
        """
        import tensorflow as tf

        call = self.loaded.signatures[signature]
        given = {
            name: tf.constant(values, self.inputs[signature][name].dtype)
            for name, values in inputs.items()
        }
        outputs: dict[str, Column] = {}
        for name, tensor in call(**given).items():
            values = tensor.numpy()
            outputs[name] = values.tolist() if values.dtype == object else values
        return outputs

    def prove(self) -> None:
        """Replays the warm-up requests; each answer must be finite numbers.

        Raises:
          ValueError: it is not.
        """
        asked = False
        for signature, inputs in self._warmup():
            asked = True
            for name, values in self.ask(signature, inputs).items():
                if isinstance(values, np.ndarray) and values.dtype.kind == "f":
                    wrong = int(np.count_nonzero(~np.isfinite(values)))
                    if wrong:
                        raise ValueError(
                            f"{signature} answers {name} with {wrong} values not finite"
                        )
        if not asked:
            raise ValueError("it takes no images, and no warm-up requests are beside it")

    def _warmup(self) -> "list[tuple[str, dict[str, Column]]]":
        import tensorflow as tf

        found: list[tuple[str, dict[str, Column]]] = []
        file = self.folder / WARMUP
        if file.is_file():
            from tensorflow_serving.apis import prediction_log_pb2

            for record in tf.data.TFRecordDataset(str(file)):
                log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
                request = log.predict_log.request
                inputs: dict[str, Column] = {}
                for name, proto in request.inputs.items():
                    values = tf.make_ndarray(proto)
                    inputs[name] = values.tolist() if values.dtype == object else values
                found.append((request.model_spec.signature_name or "serving_default", inputs))
        takes = self.inputs["serving_default"]
        if len(takes) == 1 and next(iter(takes.values())).dtype == "string":
            # A picture of our own, for a model without requests and against an empty file of them.
            ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 256))[..., None]
            picture = tf.io.encode_png(ramp).numpy()
            found.append(("serving_default", {next(iter(takes)): [picture]}))
        return found

    def describe(self) -> dict[str, Any]:
        """What the front needs to know.

        Returns:
          `inputs`: signature -> input -> Spec; `signature_def`: bytes of a SignatureDefMap;
          `metadata`: the same as JSON has it; `facts`: of pneumo.json.
        """
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_metadata_pb2

        known = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in self.definitions.items():
            known.signature_def[name].CopyFrom(definition)
        return {
            "inputs": self.inputs,
            "signature_def": known.SerializeToString(),
            "metadata": json_format.MessageToDict(
                known, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            ),
            "facts": self.facts,
        }


def facts_of(folder: Path) -> dict[str, Any]:
    """What the model says of itself; nothing where it says nothing."""
    file = folder / "assets.extra" / "pneumo.json"
    return json.loads(file.read_text()) if file.is_file() else {}
