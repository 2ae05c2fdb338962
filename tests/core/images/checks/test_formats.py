import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.checks.formats import MISPLACED, unsupported_format
from core.images.errors import ImageError
from core.images.validate_pillow import decode_valid
from tests.support.images.formats import SUPPORTED, UNSUPPORTED, saved


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_ingest_names_the_format_and_a_way_out(name):
    expected = unsupported_format(UNSUPPORTED[name])
    assert expected.startswith(name.strip(" ;"))
    assert ";" in expected
    with pytest.raises(ImageError) as error:
        decode_valid(UNSUPPORTED[name], 10**8, 1)
    assert (error.value.reason, error.value.detail) == ("unsupported_format", expected)


@pytest.mark.parametrize("name", SUPPORTED)
def test_supported_files_are_not_named(name):
    assert unsupported_format(SUPPORTED[name]) == ""
    assert decode_valid(SUPPORTED[name], 10**8, 1)[1].height == 200


@given(st.binary(max_size=60))
def test_damaged_headers_of_a_jpeg_are_no_error(rest):
    assert isinstance(unsupported_format(b"\xff\xd8\xff" + rest), str)


def test_text_before_the_signature_is_another_error():
    assert unsupported_format(b"x\n" + saved("JPEG")) == ""
    assert unsupported_format(b"\t" + saved("JPEG")) == MISPLACED
