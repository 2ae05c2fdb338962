"""Record schema, labels and tasks; and helpers for files, storage, processes and errors."""
