"""Assigns patients to splits and checks for leaks and near-duplicates."""
