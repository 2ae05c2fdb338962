"""Starts a run when new images land, or when the monitor reports drift."""
