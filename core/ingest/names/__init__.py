"""Names of files, folders, columns and labels: when two are the same."""
