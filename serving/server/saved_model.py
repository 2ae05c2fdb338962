"""Loads a SavedModel: signatures, warm-up, computation, and a validation in a subprocess."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from schema.model_folder import GRAPH, WARMUP, load_saved_model, read_model_info
from schema.processes import child_environment, tied_to_parent
from serving.server.batching import Batcher, Outputs
from serving.server.options import ServerOptions


class LoadError(Exception):
    """A version cannot be served; the message gives the reason."""


class SavedModel:
    """A loaded SavedModel.

    Args:
      folder: folder of the SavedModel.
      max_batch: maximum rows of a batch.

    Attributes:
      signatures: signature -> name of its input, for signatures with one list of byte strings.
      metadata: SignatureDefMap of all signatures.
      info: content of `assets.extra/pneumo.json`, or empty.

    Raises:
      LoadError: no callable signature `serving_default`.
      Exception: errors of TensorFlow.
    """

    def __init__(self, folder: Path, max_batch: int = 32) -> None:
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow_serving.apis import get_model_metadata_pb2

        self.folder = folder
        self.info = read_model_info(folder)
        graph = saved_model_pb2.SavedModel.FromString((folder / GRAPH).read_bytes())
        self.metadata = get_model_metadata_pb2.SignatureDefMap()
        self.signatures: dict[str, str] = {}
        for name, definition in graph.meta_graphs[0].signature_def.items():
            if name.startswith("__"):
                continue
            self.metadata.signature_def[name].CopyFrom(definition)
            ranks = {k: len(x.tensor_shape.dim) for k, x in definition.inputs.items()}
            if {x.dtype for x in definition.inputs.values()} == {7} and [*ranks.values()] == [1]:
                self.signatures[name] = next(iter(ranks))
        if "serving_default" not in self.signatures:
            raise LoadError("no signature serving_default that takes images")
        self._loaded = load_saved_model(folder)
        self._batcher = Batcher(self.compute, max_batch)

    async def predict(self, signature: str, rows: list[bytes]) -> tuple[Outputs, int]:
        """Computes a signature, batched with other requests; see `Batcher.predict`."""
        return await self._batcher.predict(signature, rows)

    def compute(self, signature: str, rows: list[bytes]) -> Outputs:
        """Computes a signature."""
        import tensorflow as tf

        inputs = {self.signatures[signature]: tf.constant(rows, tf.string)}
        return {k: x.numpy() for k, x in self._loaded.signatures[signature](**inputs).items()}

    def warm_up(self, every_size: bool = True) -> None:
        """Replays the warm-up requests, or only the smallest one of each signature.

        Raises:
          LoadError: an output is not finite.
        """
        requests = list(self._warmup_requests())
        for signature, rows in requests if every_size else dict(reversed(requests)).items():
            for name, values in self.compute(signature, rows).items():
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    raise LoadError(f"output {name} of {signature} is not finite")

    def _warmup_requests(self) -> Iterator[tuple[str, list[bytes]]]:
        import tensorflow as tf
        from tensorflow_serving.apis import prediction_log_pb2

        if (file := self.folder / WARMUP).is_file():
            for record in tf.data.TFRecordDataset(str(file)):
                log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
                request = log.predict_log.request
                signature = request.model_spec.signature_name or "serving_default"
                yield signature, list(request.inputs[self.signatures[signature]].string_val)
        # The file may be empty or missing, so add a generated image.
        ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 256))[..., None]
        yield "serving_default", [tf.io.encode_png(ramp).numpy()]


async def load(folder: Path, options: ServerOptions) -> SavedModel:
    """Validates a version in a subprocess, then loads it into this process.

    Raises:
      LoadError: the version is incomplete, or the subprocess failed.
    """
    if not (folder / GRAPH).is_file():
        raise LoadError("Could not find SavedModel .pb in the folder of the version")
    child = await asyncio.create_subprocess_exec(
        *tied_to_parent([sys.executable, "-m", "serving.server.saved_model", str(folder)]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # On the CPU: this server may occupy all GPU memory.
        env=child_environment(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3"),
    )
    try:
        output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        lines = output.decode(errors="replace").splitlines()
        reason = lines[-1] if lines else f"validation ended with status {child.returncode}"
        raise LoadError(reason.replace(str(folder), folder.name)[:500])
    return await asyncio.to_thread(_load, folder, options)


def _load(folder: Path, options: ServerOptions) -> SavedModel:
    import tensorflow as tf

    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    model = SavedModel(folder, options.max_batch)
    model.warm_up()
    return model


def _validate(folder: Path) -> int:
    try:
        SavedModel(folder).warm_up(every_size=False)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0], flush=True)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(_validate(Path(sys.argv[1])))  # skips TensorFlow's slow teardown
