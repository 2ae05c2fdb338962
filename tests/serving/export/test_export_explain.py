"""The signature explain: where, in the displayed image's own pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.images.boxes import unfit_boxes
from core.images.decode_tf import decode_gray
from core.images.resize_tf import from_png
from core.images.rules import ImageLimits
from core.models.decision_rule import DecisionRule
from core.models.explain.explanation import Explanation
from schema.labels import LOCATE
from serving.export.display_coordinates import displayed_heat
from serving.export.saved_model import export
from tests.support.models.exported import SIZE, Exported, eager


def sides_of(exported: Exported) -> list[tuple[int, int]]:
    return [tuple(decode_gray(tf.constant(one)).shape[:2]) for one in exported.contents]


def test_explain_gives_the_answer_and_where(fitted: Exported) -> None:
    loaded = tf.saved_model.load(str(fitted.folder))
    images = tf.constant(fitted.contents)
    served = loaded.signatures["serving_default"](image_bytes=images)
    explained = loaded.signatures["explain"](image_bytes=images)
    for key, values in served.items():
        if values.dtype.is_floating:
            np.testing.assert_allclose(explained[key], values, atol=1e-6, err_msg=key)
        else:
            np.testing.assert_array_equal(explained[key], values, err_msg=key)
    assert set(explained) - set(served) == {
        "heatmap",
        "boxes",
        "box_scores",
        "image_height",
        "image_width",
    }
    sides = sides_of(fitted)
    np.testing.assert_array_equal(explained["image_height"], [height for height, _ in sides])
    np.testing.assert_array_equal(explained["image_width"], [width for _, width in sides])
    found = fitted.explain(tf.cast(eager(fitted), tf.float32))
    assert explained["heatmap"].shape == found.heat.shape
    np.testing.assert_allclose(explained["box_scores"], found.box_scores, atol=1e-6)
    there = found.box_scores.numpy() >= 0
    assert there.any()
    for i, (height, width) in enumerate(sides):
        boxes = unfit_boxes(found.boxes.numpy()[i], height, width, fitted.fit, SIZE)
        expected = np.clip(boxes, 0, 1) * ([height, width] * 2) * there[i][:, None]
        np.testing.assert_allclose(explained["boxes"][i], expected, atol=1e-3)
    if fitted.fit == "stretch":
        np.testing.assert_allclose(explained["heatmap"], found.heat, atol=1e-6)


@pytest.mark.parametrize("height, width", [(40, 40), (20, 40), (40, 20), (7, 300), (61, 83)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_heat_lies_where_it_belongs(height: int, width: int, axis: int, fit: str) -> None:
    """A slope over the displayed image, fitted into the square, comes back as that slope."""
    cells = 20
    middle = (np.arange(cells) + 0.5) / cells
    shown = unfit_boxes(np.array([0, 0, 1, 1], np.float32), height, width, fit, SIZE)
    start, end = float(shown[axis]), float(shown[axis + 2])
    slope = start + middle * (end - start)  # 0..1 within the picture, beyond it outside
    line = slope[None, :] if axis else slope[:, None]
    square = np.broadcast_to(line, (cells, cells)).astype(np.float32)
    sides = tf.constant([[height, width], [0, 0]], tf.int64)
    found = displayed_heat(tf.constant(np.stack([square, square])), sides, fit, SIZE).numpy()
    assert np.isfinite(found).all()
    along = found[0].T if axis else found[0]
    seen = [
        (middle >= first) & (middle <= last)
        for first, last in (shown[axis::2], shown[1 - axis :: 2])
    ]
    # Linear within half a cell of the crop's edge.
    edge = (end - start) / cells / 2 if fit == "crop" else 0.0
    expected = np.clip(middle, start + edge, end - edge)[:, None] * seen[0][:, None] * seen[1]
    np.testing.assert_allclose(along, expected, atol=1e-3)


def test_a_task_that_locates_says_where_at_every_door(fitted: Exported, tmp_path: Path) -> None:
    calls: list[bool] = []
    weights = tf.Variable([[0.3, -0.2]], trainable=False)

    def network(pixels: tf.Tensor) -> tf.Tensor:
        return (tf.reduce_mean(pixels, [1, 2]) / 255 @ weights)[:, tf.newaxis]

    def explain(pixels: tf.Tensor) -> Explanation:
        calls.append(True)
        return fitted.explain(pixels)._replace(logits=network(pixels))

    def wrong(pixels: tf.Tensor) -> tf.Tensor:
        """The explain function returns the logits; the network must not be called."""
        return network(pixels) + tf.constant([0.0, 100.0])

    class Held:  # as Keras holds its variables
        value = weights

    def write(explain: Any) -> None:
        export(
            wrong,
            [Held(), *fitted.network.variables],
            SIZE,
            fitted.transform,
            LOCATE,
            str(tmp_path / "model"),
            decode_png=lambda png: from_png(png, SIZE),
            features=lambda pixels: tf.reduce_mean(pixels, [1, 2]),
            limits=ImageLimits(min_side=1, check_content=False),
            decision=DecisionRule(1.0, 0.4),
            metadata={},
            explain=explain,
        )

    with pytest.raises(ValueError, match="computes boxes"):
        write(None)
    write(explain)
    assert calls
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    contents = [*fitted.contents[:3], b"", *fitted.contents[4:]]
    served = loaded.signatures["serving_default"](image_bytes=tf.constant(contents))
    explained = loaded.signatures["explain"](image_bytes=tf.constant(contents))
    for key in ("boxes", "box_scores", "score"):
        np.testing.assert_array_equal(served[key], explained[key])
    assert served["score"].numpy()[3] == -1
    assert (np.delete(served["score"].numpy(), 3) < 0.9).all()
    assert (served["boxes"].numpy()[3] == 0).all()
    assert (served["box_scores"].numpy()[3] == -1).all()
    # Records: the same boxes in fractions of the displayed image.
    scored = loaded.signatures["examples"](tf.constant(fitted.examples))
    count, most = served["box_scores"].shape
    assert scored["boxes"].shape == (count, 4 * most)
    np.testing.assert_array_equal(
        np.delete(scored["box_scores"], 3, 0), np.delete(served["box_scores"], 3, 0)
    )
    found = fitted.explain(tf.cast(eager(fitted), tf.float32))
    sides = np.full(count, 61), np.full(count, 83)  # of tests.support.records
    boxes = unfit_boxes(found.boxes.numpy(), *sides, fitted.fit, SIZE)
    expected = np.clip(boxes, 0, 1) * (found.box_scores.numpy() >= 0)[..., None]
    np.testing.assert_allclose(scored["boxes"].numpy().reshape(expected.shape), expected, atol=1e-5)


def test_a_model_without_explain_has_no_such_door(exported: Exported, tmp_path: Path) -> None:
    from schema.labels import THREE_CLASS

    export(
        lambda pixels: exported.network(pixels, training=False),
        exported.network.variables,
        SIZE,
        exported.transform,
        THREE_CLASS,
        str(tmp_path / "model"),
        decode_png=lambda png: from_png(png, SIZE),
        decision=DecisionRule(),
        metadata={},
        features=lambda pixels: exported.backbone(pixels, training=False),
    )
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert "explain" not in loaded.signatures
    assert "boxes" not in loaded.signatures["serving_default"].structured_outputs
