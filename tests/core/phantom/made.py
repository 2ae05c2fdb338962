"""What the phantoms of these tests are drawn with."""

N, SEED, SIZE = 60, 5, 128  # images, seed, pixels of a side
