"""Synthetic chest radiographs (phantoms): a data set for demos, tests and load tests only."""
