"""Values of one run that the graph needs besides its configuration."""

from pydantic import Field

from components.endpoint_validator.choice import Validation
from components.model_to_beat import BaselineSource
from core.models.backbone_weights import BackboneWeights
from schema.options import Options


class RunContext(Options):
    """Paths, weights and platform of a run, set by `pneumo run` or `pneumo compile`."""

    records: str = Field(description="folder or URI that `pneumo ingest` wrote")
    records_sha256: str = Field(description="digest of the records; part of the Report's cache key")
    synthetic: bool | None = Field(
        description="whether the records are synthetic; none: known only when the graph runs"
    )
    root: str = Field(description="folder or URI of the artifacts")
    push_to: str = Field(description="folder or URI of the pushed versions")
    checkpoints: str = Field(description="folder or URI from which a killed training resumes")
    weights: BackboneWeights
    member_weights: tuple[BackboneWeights, ...] = Field((), description="of each of model.members")
    teacher_sha256: str = Field("", description="digest of the teacher of training.distill")
    infra_validation: Validation = "savedmodel"
    validation_only: bool = Field(
        False, description="only the nodes that read no image of the test split run"
    )
    batch_records: str = Field("", description="folder of unlabeled records; empty: none")
    baseline: BaselineSource = Field("metadata", description="where the model to beat is looked up")
    beam_args: tuple[str, ...] = Field(
        (), description="Beam arguments of a compiled graph; a local run passes them to its runner"
    )
