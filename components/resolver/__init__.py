"""Finds the model that a candidate has to beat."""
