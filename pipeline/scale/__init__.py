"""What a run of any number of images costs: a model fitted to measurements, and what it says."""
