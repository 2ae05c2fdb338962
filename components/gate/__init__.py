"""Decides whether a model is blessed: bounds, and paired tests against the blessed one."""
