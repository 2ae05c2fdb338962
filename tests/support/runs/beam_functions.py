"""Functions that Beam workers import in separate processes."""


def imports_tfdv(value: int) -> int:
    """Returns its argument; needs TensorFlow Data Validation."""
    import tensorflow_data_validation  # noqa: F401

    return value
