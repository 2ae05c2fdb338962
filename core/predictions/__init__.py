"""Predictions of a model on a split: table, metrics and results of TFX's Evaluator."""
