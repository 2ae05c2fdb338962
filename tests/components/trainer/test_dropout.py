import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.dropout import Dropout, window


def layer() -> Dropout:
    return Dropout(0.4, seed=7)


def mask(images: int = 6) -> np.ndarray:
    return np.asarray(
        keras.layers.Dropout(0.4, seed=7)(np.ones((images, 5), np.float32), training=True)
    )


def test_shares_drop_what_one_process_drops() -> None:
    x = np.arange(30, dtype=np.float32).reshape(6, 5)
    whole = np.asarray(keras.layers.Dropout(0.4, seed=7)(x, training=True))
    parts = []
    for first, last in ((0, 2), (2, 5), (5, 6)):
        with window(tf.constant(first), tf.constant(6)):
            parts.append(np.asarray(layer()(x[first:last], training=True)))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert 0 < (whole[1:] == 0).mean() < 1


def test_inside_a_traced_function_where_sizes_are_not_known() -> None:
    of = layer()

    @tf.function(input_signature=[tf.TensorSpec([None, 5]), tf.TensorSpec([2], tf.int32)])
    def run(x: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        with window(at[0], at[1]):
            return of(x, training=True)

    got = run(np.ones((2, 5), np.float32), np.array([3, 6], np.int32)).numpy()
    np.testing.assert_array_equal(got, mask()[3:5])


@pytest.mark.parametrize("training", [False, True])
def test_without_a_window_it_is_that_of_keras(training: bool) -> None:
    x = np.ones((6, 5), np.float32)
    got = np.asarray(layer()(x, training=training))
    np.testing.assert_array_equal(got, mask() if training else x)


def test_a_stand_in_behind_the_last_image() -> None:
    with window(tf.constant(6), tf.constant(6)):
        assert layer()(np.ones((1, 5), np.float32), training=True).shape == (1, 5)
