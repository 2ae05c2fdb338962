"""Runs the graph on this machine: work folder, nodes, progress, metadata."""
