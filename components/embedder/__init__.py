"""Embedder: runs the frozen backbone once; all heads, seeds and tasks share its output."""
