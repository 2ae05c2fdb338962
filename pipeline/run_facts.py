"""What the graph has to know of a run beside its configuration."""

from pydantic import BaseModel, ConfigDict

from components.endpoint_validator.choice import Validation
from components.model_to_beat import BaselineSource


class RunFacts(BaseModel):
    """Facts that a runner finds out before it builds the graph; never in a configuration file.

    Attributes:
      records: folder that `pneumo ingest` wrote.
      records_sha256: digest of its content; part of the cache key of the report.
      synthetic: the records are phantoms; none: not known yet, the records tell when it runs.
      root: folder of the artifacts.
      push_to: folder of the pushed versions.
      checkpoints: folder of the states that a killed training goes on from.
      weights: `core.models.backbone_weights.BackboneWeights` as a dict.
      infra_validation: as configured, or what the platform can run.
      batch_records: folder of unlabelled records; empty: none.
      baseline: who finds the model to beat.
      beam_args: Beam's arguments of every component that works with Beam, where the graph is
        compiled for others to run; a run on this machine gives them to its runner.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: str
    records_sha256: str
    synthetic: bool | None
    root: str
    push_to: str
    checkpoints: str
    weights: dict[str, str]
    infra_validation: Validation = "savedmodel"
    batch_records: str = ""
    baseline: BaselineSource = "metadata"
    beam_args: tuple[str, ...] = ()
