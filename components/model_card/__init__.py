"""The model card: what a model is, what it was made from, what is known of it and what is not."""
