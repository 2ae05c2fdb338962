"""What each step of a run has to do, from a configuration and a number of images. Pure."""

from dataclasses import dataclass, replace

from components.trainer.trunks import image_size
from pipeline.config import Config
from pipeline.scale.load import Load
from pipeline.scale.model import STEPS, CostModel
from schema.errors import PneumoError


@dataclass(frozen=True)
class Workload:
    """A run on paper.

    Attributes:
      images: in the source.
      megapixels: of one, mean.
      kib: of a file, mean.
      loads: step -> what it has to do.
      notes: what the model leaves out, a line each.
    """

    images: int
    megapixels: float
    kib: float
    loads: dict[str, Load]
    notes: tuple[str, ...] = ()


def workload(
    config: Config, model: CostModel, images: int, megapixels: float, kib: float | None = None
) -> Workload:
    """Takes the splits, the side, the trunk, views, epochs and members from a configuration.

    Args:
      config: what would be run.
      model: knows trunks and the usual size of a file.
      images: in the source, 1 or more.
      megapixels: of one image, above 0.
      kib: of a file; none: that of a JPEG of so many megapixels.

    Raises:
      PneumoError: a number out of range, or a trunk that the model does not know.
    """
    if images < 1 or megapixels <= 0 or (kib is not None and kib <= 0):
        raise PneumoError("--images must be 1 or more, --megapixels and --kib above 0")
    size = megapixels * model.kib_per_megapixel if kib is None else kib
    trunk = config.model.trunk
    if trunk not in model.trunks:
        raise PneumoError(
            f"the cost model does not know trunk {trunk}; it knows {', '.join(model.trunks)}"
        )
    own, gmac, channels = model.trunks[trunk]
    side = image_size(trunk, config.model.image_size)
    options = config.data.ingest
    test, val = options.test_fraction * images, options.val_fraction * images
    train = images - test - val
    one = Load(
        images, megapixels, size, (side / 1000) ** 2, gmac * (side / own) ** 2, channels,
        feature_bytes=2 if config.training.embedding.storage == "float16" else 4,
    )  # fmt: skip
    views = 1 + config.training.embedding.views * train / (train + val)
    epochs = config.training.epochs * len(config.training.seeds)
    of: dict[str, Load] = dict.fromkeys(STEPS, one)
    of["Transform"] = one.of(train + val)
    of["Embedder"] = replace(one, images=train + val, passes=views)
    of["Trainer"] = replace(one, images=train, passes=epochs)
    # TFMA and the Scorer each ask the whole model about every image of test.
    of["Evaluator"] = of["Scorer"] = one.of(test)
    return Workload(images, megapixels, size, of, tuple(_left_out(config)))


def _left_out(config: Config) -> list[str]:
    notes = ["the head is counted with all its epochs; early stopping makes it cheaper"]
    if config.training.fine_tune is not None:
        notes.append("fine-tuning of the trunk's blocks is not in the model; it comes on top")
    if config.model.detector is not None:
        notes.append("the dense heads of task locate are not in the model; they come on top")
    if config.tuner is not None:
        notes.append("the Tuner's trials are not in the model; they come on top")
    return notes
