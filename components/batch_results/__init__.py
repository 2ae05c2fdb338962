"""BatchResults: table of predictions for unlabeled records."""
