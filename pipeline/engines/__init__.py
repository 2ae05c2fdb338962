"""Beam engines: the arguments that ingest and the Beam components of the graph run with."""
