"""The data contract: feature names, labels, tasks and the TFMD schema of one radiograph record."""
