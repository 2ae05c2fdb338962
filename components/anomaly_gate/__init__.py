"""AnomalyGate: stops a run whose data violates the schema."""
