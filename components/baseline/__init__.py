"""Finds the model to beat where no metadata store can be asked: among the pushed versions."""
