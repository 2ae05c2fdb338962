import pytest
from PIL import Image, ImageFilter

from core.images.perceptual_hash import BITS, perceptual_hash
from tests.support.images.synthetic import gray


def _distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def test_perceptual_hash_is_near_for_copies_and_far_for_others():
    one, other = (Image.fromarray(gray(200, 160, seed)) for seed in (1, 2))
    base = perceptual_hash(one)
    assert len(base) * 8 == BITS
    copies = [
        one.resize((80, 100), Image.Resampling.BILINEAR),
        one.filter(ImageFilter.GaussianBlur(1)),
        one.point([min(255, v + 20) for v in range(256)]),
    ]
    assert max(_distance(base, perceptual_hash(copy)) for copy in copies) <= 24
    assert _distance(base, perceptual_hash(other)) > 60


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (64, 64), (2, 2)])
def test_perceptual_hash_of_degenerate_images(size):
    assert perceptual_hash(Image.new("L", size, 128)) == bytes(32)
