"""Fetches public data sets through kagglehub."""
