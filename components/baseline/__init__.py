"""Baseline: the latest blessed model, which a candidate is compared with."""
