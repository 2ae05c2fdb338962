"""Builds the three nodes that predict unlabeled records."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfx import types


def batch_nodes(
    records: str, *, model: "types.BaseChannel", model_blessing: "types.BaseChannel"
) -> list[Any]:
    """Builds ImportExampleGen, BulkInferrer and BatchResults; no nodes without records.

    Args:
      records: output folder of `pneumo ingest`; its splits are ignored.
      model: output of Trainer, run with the signature `examples`.
      model_blessing: output of Gate; only a blessed model is run.
    """
    if not records:
        return []
    import tfx.v1 as tfx

    from components.batch_results.component import BatchResults

    every = tfx.proto.Input.Split(name="batch", pattern="*.tfrecord")
    unlabelled = tfx.components.ImportExampleGen(
        input_base=records, input_config=tfx.proto.Input(splits=[every])
    ).with_id("BatchExampleGen")
    inferrer = tfx.components.BulkInferrer(
        examples=unlabelled.outputs["examples"],
        model=model,
        model_blessing=model_blessing,
        model_spec=tfx.proto.ModelSpec(model_signature_name=["examples"]),
    )
    results = BatchResults(
        examples=unlabelled.outputs["examples"],
        model=model,
        model_blessing=model_blessing,
        inference_result=inferrer.outputs["inference_result"],
    )
    return [unlabelled, inferrer, results]
