"""Predictions of a model on a split: table, metrics, results of TFX's Evaluator."""
