"""Parameters of the synthetic data set of these tests."""

N, SEED, SIZE = 60, 5, 128  # images, seed, pixels of a side
