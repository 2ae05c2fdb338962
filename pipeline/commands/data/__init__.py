"""Subcommands that fetch, generate or ingest data."""
