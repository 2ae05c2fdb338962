"""Explanation of predictions: heat maps and the boxes around their hot regions."""
