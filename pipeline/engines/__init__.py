"""Where Beam runs: the engine below ingest and below the components that work with Beam."""
