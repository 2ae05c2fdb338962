"""Drift of logged inputs."""
