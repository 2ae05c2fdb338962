"""SavedModel signatures, local prediction, clients and server files."""
