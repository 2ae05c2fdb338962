"""The three nodes that answer unlabelled records."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfx import types


def batch_nodes(
    records: str, *, model: "types.BaseChannel", model_blessing: "types.BaseChannel"
) -> list[Any]:
    """ImportExampleGen, BulkInferrer and BatchResults, in this order; none without records.

    Args:
      records: folder that `pneumo ingest` wrote; the splits in it mean nothing here.
      model: asked through its signature `examples`.
      model_blessing: output of Gate; a model that is not blessed is not asked.
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
