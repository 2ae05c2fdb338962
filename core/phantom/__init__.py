"""Synthetic radiographs: a data set for first runs, tests and load tests, and nothing else."""
