"""Scorer: predictions of a model for every image of a split."""
