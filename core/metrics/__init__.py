"""Metrics, intervals, operating points and paired tests; NumPy and scikit-learn only."""
