"""Functions that Beam workers in processes of their own import."""


def imports_tfdv(value: int) -> int:
    """Returns its argument; needs TensorFlow Data Validation."""
    import tensorflow_data_validation  # noqa: F401

    return value
