"""Classifier phases: trains the head and fine-tunes the backbone."""
