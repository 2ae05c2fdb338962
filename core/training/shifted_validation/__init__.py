"""Shifted validation: the recipe is trained again without one group of images and scored on it."""
