from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.images.resize_tf import resize_gray
from core.models.options import AugmentOptions
from core.training.data.image_training_data import copy_records, image_training_data
from core.training.data.targets import class_targets
from core.training.data.transformed_images import transformed_images
from core.training.loop.batches import LabeledRows, TrainingData
from schema.labels import BINARY
from tests.support.models.image_job import BATCH, COUNT, VAL, image_job, write_records

SIZE = 48
OFF = AugmentOptions(rotation=0, shift=0, zoom=0, brightness=0, contrast=0, noise=0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_records(folder, SIZE)
    return folder


def data_of(
    site: Path, view_size: int | None, views: AugmentOptions, **fine_tune: float
) -> TrainingData:
    """Returns batches; record 3 of train is outside the task."""
    job = replace(image_job(site, view_size=view_size, **fine_tune), size=SIZE)
    embedding = job.training.embedding.model_copy(update={"augment": views})
    job = replace(job, training=job.training.model_copy(update={"embedding": embedding}))
    stores, rows = [], []
    for split, excluded in (("train", [3]), ("val", [])):
        targets = class_targets(np.load(site / f"{split}.npz")["names"], BINARY)
        used = np.setdiff1d(np.arange(len(targets)), excluded)
        rows.append(LabeledRows((), targets, np.arange(len(targets), dtype=np.float32), used))
        stores.append(copy_records([str(site / split / "*.gz")], site / f"{split}.images"))
    return image_training_data(job, 5, *stores, *rows)


def all_images(site: Path, split: str) -> np.ndarray:
    """Returns all images of a split, uint8 [n, SIZE, SIZE, 1]."""
    batches = transformed_images([str(site / split / "*.gz")], SIZE, 64)
    return np.concatenate([pixels.numpy() for pixels, _ in batches])


@pytest.mark.parametrize("view_size", [None, 33])
def test_each_image_once_with_its_target(view_size: int | None, site: Path) -> None:
    data = data_of(site, view_size, OFF)
    batches = list(data.epochs(0, 1).as_numpy_iterator())
    assert [len(x) for x, _, _ in batches] == [BATCH] * 5
    assert (data.images, data.steps) == (COUNT - 1, 5)
    pixels, targets, weights = (np.concatenate(part) for part in zip(*batches, strict=True))
    rows_of_batch = weights.astype(int)  # the record number, see `data_of`
    assert sorted(rows_of_batch) == [i for i in range(COUNT) if i != 3]
    # Resized as Transform would.
    images = all_images(site, "train")
    expected = [resize_gray(images[i], view_size or SIZE, "stretch").numpy() for i in rows_of_batch]
    np.testing.assert_array_equal(pixels, expected)
    names = np.load(site / "train.npz")["names"]
    np.testing.assert_array_equal(targets, class_targets(names, BINARY)[rows_of_batch])
    val_batches = [x for x, _, _ in data.validation.as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(val_batches), all_images(site, "val"))
    assert len(all_images(site, "val")) == VAL


def test_epochs_are_reproducible_and_different(site: Path) -> None:
    data = data_of(site, 32, AugmentOptions())
    both = list(data.epochs(3, 5).as_numpy_iterator())
    first, second = both[:5], both[5:]
    again = list(data_of(site, 32, AugmentOptions()).epochs(3, 4).as_numpy_iterator())
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    images_of_epoch = [
        {image.tobytes() for x, *_ in epoch for image in x} for epoch in (first, second)
    ]
    assert not images_of_epoch[0] & images_of_epoch[1]


def test_mixed_images_and_unmixed_validation(site: Path) -> None:
    plain = data_of(site, 32, OFF)
    data = data_of(site, 32, OFF, mixup=1.0, cutmix=1.0)
    batches = list(data.epochs(0, 1).as_numpy_iterator())
    for (x, targets, weights), (image, label, weight) in zip(
        batches, plain.epochs(0, 1).as_numpy_iterator(), strict=True
    ):
        assert x.shape == image.shape
        assert targets.shape == (len(label), 2, 2)
        first = targets[:, 0] > 0
        np.testing.assert_array_equal(first[first.any(1)], label[first.any(1)] > 0)
        assert weights.max() <= weight.max() + 1e-4
    again = next(iter(data.epochs(0, 1).as_numpy_iterator()))
    np.testing.assert_array_equal(again[0], batches[0][0])
    for one, other in zip(data.validation, plain.validation, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
