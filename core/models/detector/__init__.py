"""Opacity detector: a dense head on the backbone that predicts box centers and sizes."""
