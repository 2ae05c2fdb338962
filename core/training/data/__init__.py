"""Training data: images, targets and example weights."""
