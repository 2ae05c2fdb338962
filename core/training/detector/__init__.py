"""Detector phase: trains dense heads on stored activations."""
