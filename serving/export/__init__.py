"""Writes the SavedModel: signatures, image guard, warm-up requests."""
