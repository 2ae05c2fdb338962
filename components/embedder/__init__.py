"""The frozen part of the backbone, run once; what it gives serves every head, seed and task."""
