"""Exports the SavedModel: signatures and warm-up requests."""
