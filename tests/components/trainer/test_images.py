"""What fine-tuning end to end reads: sizes, views, and each image once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.trainer.batches import Rows
from components.trainer.data import transformed_images
from components.trainer.distribution import Team
from components.trainer.images import images_source, unpack_images
from components.trainer.loop import Source
from components.trainer.losses import example_weights, targets_of
from components.trainer.options import AugmentOptions
from components.transform.decode import resize_gray
from schema import features as f
from schema.labels import BINARY
from tests.support.image_job import COUNT, image_job, write_records

SIZE = 48
OFF = AugmentOptions(rotation=0, shift=0, zoom=0, brightness=0, contrast=0, noise=0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_records(folder, SIZE)
    return folder


def source_of(site: Path, scratch: Path, view_size: int | None, views: AugmentOptions) -> Source:
    of = replace(image_job(site), size=SIZE)
    assert of.training.fine_tune is not None
    tune = of.training.fine_tune.model_copy(update={"view_size": view_size})
    embedding = of.training.embedding.model_copy(update={"augment": views})
    training = of.training.model_copy(update={"fine_tune": tune, "embedding": embedding})
    patterns = [[str(site / split / "*.gz")] for split in ("train", "val")]
    targets = targets_of(np.load(site / "train.npz")["names"], BINARY)
    rows = Rows((), targets, example_weights(targets, True), np.arange(len(targets)))
    team = Team()
    images = unpack_images(*patterns, scratch, team)
    return images_source(replace(of, training=training), 5, images, rows, team)


def whole(site: Path, split: str) -> np.ndarray:
    """All images of a split, uint8 [n, SIZE, SIZE, 1]."""
    batches = transformed_images([str(site / split / "*.gz")], SIZE, 64)
    return np.concatenate([pixels.numpy() for pixels, _ in batches])


def as_set(images: np.ndarray) -> list[bytes]:
    return sorted(image.tobytes() for image in images)


@pytest.mark.parametrize("view_size", [None, 48, 33, 32])
def test_views_have_their_own_size_and_validation_keeps_that_of_the_images(
    view_size: int | None, site: Path, tmp_path: Path
) -> None:
    source = source_of(site, tmp_path, view_size, OFF)
    side = view_size or SIZE
    batches = list(source.epoch(0))
    seen = np.concatenate([x for x, _, _ in batches])
    assert seen.shape == (COUNT, side, side, 1)
    assert tuple(source.x.shape) == (side, side, 1)
    # Each training image once, as Transform itself would have resized it.
    shown = [resize_gray(image, side, "stretch").numpy() for image in whole(site, "train")]
    assert as_set(seen) == as_set(np.array(shown))
    judged = np.concatenate([x for x, _, _ in source.validation()])
    assert source.judged is not None
    assert tuple(source.judged.shape) == (SIZE, SIZE, 1)
    assert as_set(judged) == as_set(whole(site, "val"))


def test_targets_stay_with_their_images(site: Path, tmp_path: Path) -> None:
    source = source_of(site, tmp_path, 32, OFF)
    batches = transformed_images([str(site / "train" / "*.gz")], SIZE, 64)
    expected = {}
    for pixels, identity in batches:
        names = np.array([name.decode() for name in identity[f.PATHOGEN].numpy().tolist()])
        for image, target in zip(pixels, targets_of(names, BINARY), strict=True):
            expected[resize_gray(image, 32, "stretch").numpy().tobytes()] = target.tolist()
    for x, targets, _ in source.epoch(1):
        assert [expected[image.tobytes()] for image in x] == targets.tolist()


def test_an_epoch_is_the_same_again_and_another_one_differs(site: Path, tmp_path: Path) -> None:
    one = source_of(site, tmp_path / "a", 32, AugmentOptions())
    other = source_of(site, tmp_path / "b", 32, AugmentOptions())
    first, again, second = (
        [x for x, _, _ in epoch] for epoch in (one.epoch(3), other.epoch(3), one.epoch(4))
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not set(as_set(np.concatenate(first))) & set(as_set(np.concatenate(second)))
