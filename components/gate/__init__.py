"""Gate: decides whether a model is blessed."""
