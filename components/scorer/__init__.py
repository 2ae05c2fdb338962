"""The model's answer to every image of a split, kept for intervals, comparison and the report."""
