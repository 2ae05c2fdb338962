"""The engine below Beam in a compiled graph: its arguments, none of whose servers we start."""

from typing import TYPE_CHECKING, Final

from pipeline.engines.arguments import beam_args
from pipeline.kubeflow.resources import resources_of
from schema.errors import PneumoError

if TYPE_CHECKING:
    from pipeline.config import Config

_MASTERS: Final = {"flink": "flink_master", "spark": "spark_master"}


def engine_args(config: "Config") -> tuple[str, ...]:
    """Beam's arguments of every component of a compiled graph.

    Raises:
      PneumoError: the engine needs an address, or an image, that the configuration does not tell.
    """
    engine, options = config.engine, config.beam
    master = _MASTERS.get(engine)
    if master and not getattr(options, master) and not options.job_endpoint:
        raise PneumoError(
            f"engine {engine} of a compiled graph is one that runs already: set beam.{master} or "
            "beam.job_endpoint"
        )
    # As many workers as Transform, the largest of the nodes that work with Beam, has processors.
    cores = int(resources_of("Transform", config.deploy).cpu or 1)
    return tuple(beam_args(engine, options, max(1, cores)))
