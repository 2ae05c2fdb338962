"""Hours, bytes and money of a run on paper, and where it stops growing. Pure."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from pipeline.scale.model import MEMORY, SECONDS, STEPS, STORED, CostModel
from pipeline.scale.prices import Prices
from pipeline.scale.workload import Workload

# Step -> whose output it reads, and which part of its images: how many bytes are moved.
READS: Final = {
    "ingest check": "source",
    "ingest write": "source",
    "ImportExampleGen": "ingest write",
    "StatisticsGen": "ImportExampleGen",
    "Transform": "ImportExampleGen",
    "Embedder": "Transform",
    "Trainer": "Embedder",
    "Evaluator": "ImportExampleGen",
    "Scorer": "ImportExampleGen",
}
ON_GPU: Final = ("Embedder", "Scorer", "Evaluator")
BEAM: Final = ("ImportExampleGen", "StatisticsGen", "Transform", "Evaluator")
_ENGINE = "engine: flink, spark or dataflow spreads it; engine direct holds its input in memory"
_TRUNK = "model.image_size (cost goes with its square), a smaller trunk, an accelerator"
TURN: Final = {
    "ingest check": "workers (--beam-arg=--direct_num_workers=N, or an engine): cost goes with "
    "megapixels; finished chunks are kept, so only new images are decoded again",
    "ingest plan": "nothing to turn: it is one process; split the source into several data sets",
    "ingest write": "workers or an engine; data.ingest.images_per_shard sets the pieces",
    "ImportExampleGen": _ENGINE,
    "StatisticsGen": _ENGINE,
    "Transform": f"{_ENGINE}; model.image_size",
    "Embedder": f"{_TRUNK}; training.embedding.views; the cache: it runs once for all heads",
    "Trainer": "training.epochs, patience, seeds; the trunk stays frozen",
    "Evaluator": f"data.ingest.test_fraction; {_TRUNK}",
    "Scorer": f"data.ingest.test_fraction; {_TRUNK}",
}


@dataclass(frozen=True)
class StepCost:
    """One step of a run on paper.

    Attributes:
      step: its name.
      images: that it handles.
      cpu_hours: of one core.
      gpu_hours: of one accelerator; 0 where none is counted.
      memory_mib: peak of its process.
      stored_bytes: left on disk.
      read_bytes: read from disk.
      money: of hours and of storage.
      beyond: images over the largest measurement of this step; above 1 it is extrapolated.
    """

    step: str
    images: float
    cpu_hours: float
    gpu_hours: float
    memory_mib: float
    stored_bytes: float
    read_bytes: float
    money: float
    beyond: float


@dataclass(frozen=True)
class Estimate:
    """A whole run on paper.

    Attributes:
      steps: in the order of a run.
      slowest: step with the most hours, and its part of all.
      fullest: step that first needs more than the memory, and from how many images of the source
        on; None where none ever does.
      memory_gib: that memory.
      currency: of the money.
    """

    steps: tuple[StepCost, ...]
    slowest: tuple[str, float]
    fullest: tuple[str, float] | None
    memory_gib: float
    currency: str

    def total(self, name: str) -> float:
        """Sum of an attribute over the steps."""
        return sum(getattr(step, name) for step in self.steps)

    @property
    def turn(self) -> dict[str, str]:
        """Bottleneck -> what to turn."""
        of = [self.slowest[0]] + ([self.fullest[0]] if self.fullest else [])
        return {step: TURN[step] for step in of}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("cpu_hours", "gpu_hours", "stored_bytes", "read_bytes", "money")
        return {
            "steps": [asdict(step) for step in self.steps],
            "total": {name: self.total(name) for name in names},
            "slowest": {"step": self.slowest[0], "part": self.slowest[1]},
            "fullest": {"step": self.fullest[0], "from_images": self.fullest[1]}
            if self.fullest
            else None,
            "memory_gib": self.memory_gib,
            "turn": self.turn,
            "currency": self.currency,
        }


def estimate(model: CostModel, work: Workload, prices: Prices, memory_gib: float) -> Estimate:
    """What a run would cost.

    Args:
      model: fitted.
      work: what each step has to do.
      prices: of hours and gigabytes.
      memory_gib: of the machine, for the first step that runs out of it.
    """
    steps = tuple(_step(model, work, prices, name) for name in STEPS)
    hours = sum(step.cpu_hours + step.gpu_hours for step in steps)
    slowest = max(steps, key=lambda step: step.cpu_hours + step.gpu_hours)
    part = (slowest.cpu_hours + slowest.gpu_hours) / hours if hours else 0.0
    return Estimate(
        steps,
        (slowest.step, part),
        _fullest(model, work, memory_gib * 1024),
        memory_gib,
        prices.currency,
    )


def _step(model: CostModel, work: Workload, prices: Prices, name: str) -> StepCost:
    load = work.loads[name]
    seconds = model.predict(name, SECONDS, load)
    gpu = 0.0
    if prices.gpu_gmac_per_second is not None and name in ON_GPU:
        gmac = load.images * load.passes * load.gmac
        seconds -= model.coefficients[name][SECONDS].get("gmac", 0.0) * gmac
        gpu = gmac / prices.gpu_gmac_per_second
    stored = model.predict(name, STORED, load)
    money = seconds / 3600 * prices.cpu_hour + gpu / 3600 * prices.gpu_hour
    return StepCost(
        step=name,
        images=load.images,
        cpu_hours=seconds / 3600,
        gpu_hours=gpu / 3600,
        memory_mib=model.predict(name, MEMORY, load),
        stored_bytes=stored,
        read_bytes=_read(model, work, name),
        money=money + stored / 1e9 * prices.gb_month * prices.months,
        beyond=load.images / model.largest[name] if model.largest.get(name) else 0.0,
    )


def _read(model: CostModel, work: Workload, name: str) -> float:
    of = READS.get(name)
    if of is None:
        return 0.0
    if of == "source":
        return work.images * work.kib * 1024
    part = work.loads[name].images / work.loads[of].images
    return model.predict(of, STORED, work.loads[of]) * min(part, 1.0)


def _fullest(model: CostModel, work: Workload, limit: float) -> tuple[str, float] | None:
    """The step that first needs more than `limit` MiB as the source grows."""
    first: tuple[str, float] | None = None
    for name in STEPS:
        load = work.loads[name]

        def needs(factor: float, name: str = name, load: Any = load) -> float:
            return model.predict(name, MEMORY, load.of(load.images * factor))

        low, high = 1 / work.images, 1e12 / work.images
        if needs(high) <= limit:
            continue
        for _ in range(100):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if needs(middle) <= limit else (low, middle)
        if first is None or high * work.images < first[1]:
            first = (name, high * work.images)
    return first
