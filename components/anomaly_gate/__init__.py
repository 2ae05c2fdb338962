"""Stops a run whose data breaks the contract."""
