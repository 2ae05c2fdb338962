"""Predictions for files: local or remote model, result files, worklists, overlays."""
