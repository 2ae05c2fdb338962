"""Runs the frozen backbone once over a split and stores its features."""
