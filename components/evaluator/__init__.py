"""Configuration of TFX's Evaluator node."""
