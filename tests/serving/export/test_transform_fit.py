from typing import Any

import pytest
import tensorflow as tf

from core.images.decode_tf import decode_gray
from core.images.resize_tf import resize_gray
from core.images.rules import FITS
from serving.export.transform_fit import detect_fit

SIZE = 24


def test_other_pixels_raise() -> None:
    def darker(raw: dict[str, Any]) -> dict[str, Any]:
        def one(content: tf.Tensor) -> tf.Tensor:
            return tf.io.encode_png(resize_gray(decode_gray(content), SIZE, "pad") // 2)

        flat = tf.reshape(raw["image/encoded"], [-1])
        return {"image_png": tf.map_fn(one, flat, fn_output_signature=tf.string)}

    with pytest.raises(ValueError, match="run Transform again"):
        detect_fit(darker, SIZE)


@pytest.mark.parametrize("fit", FITS)
def test_the_fit_is_detected(fit: str) -> None:
    from core.images.resize_tf import to_png

    flat = {"shape": [-1]}
    detected = detect_fit(
        lambda raw: {"image_png": to_png(tf.reshape(raw["image/encoded"], **flat), SIZE, fit)}, SIZE
    )
    assert detected == fit
