"""Checks files and writes the records of a data set in Beam."""
