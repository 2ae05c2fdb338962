"""The model's answers to unlabelled records, as a table that anyone can read."""
