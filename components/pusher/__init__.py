"""Pusher: publishes a blessed model as a new version."""
