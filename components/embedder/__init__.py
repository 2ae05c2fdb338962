"""The frozen part of the trunk, run once; what it gives serves every head, seed and task."""
