"""Metrics, intervals, and the configuration of TFMA."""
