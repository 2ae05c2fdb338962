import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images.checks import formats_tf
from core.images.checks.formats import FORMATS, unsupported_format
from core.images.rules import STATUS_MESSAGES, ImageLimits
from core.images.validate_tf import decode_batch
from tests.support.images.formats import SUPPORTED, UNSUPPORTED


@pytest.fixture(scope="module")
def statuses() -> dict[str, tuple[str, str]]:
    """Name -> status and reason of each file in the graph."""
    files = {**UNSUPPORTED, **SUPPORTED}
    batch = decode_batch(tf.constant([*files.values()]), 64, "pad", ImageLimits())
    pairs = zip(batch.status.numpy(), batch.reason.numpy(), strict=True)
    return dict(zip(files, ((a.decode(), b.decode()) for a, b in pairs), strict=True))


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_the_graph_names_the_format_as_ingest_does(name, statuses):
    content = UNSUPPORTED[name]
    code = "UNSUPPORTED_JPEG" if content.startswith(b"\xff\xd8\xff") else "NOT_JPEG_OR_PNG"
    reason = f"{STATUS_MESSAGES[code]} ({unsupported_format(content)})"
    assert statuses[name] == (code, reason)


@pytest.mark.parametrize("name", SUPPORTED)
def test_supported_files_are_decoded(name, statuses):
    assert statuses[name] == ("OK", "")


@tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
def _in_graph(content: tf.Tensor) -> tf.Tensor:
    return formats_tf.unsupported_format(content)


@given(
    st.sampled_from(FORMATS),
    st.binary(max_size=400),
    st.integers(0, 400),
    st.sampled_from([b"", b"\n", b" \r\n", b"\xff\xd8\xff"]),
)
@settings(max_examples=100, deadline=None)
def test_both_implementations_agree(form, rest, length, before):
    data = bytearray(rest.ljust(352, b"\0"))
    for offset, part in form[0]:
        data[offset : offset + len(part)] = part
    content = before + bytes(data[:length])
    if not content.startswith(b"\xff\xd8\xff"):
        assert _in_graph(content).numpy().decode() == unsupported_format(content)
