"""SQLite catalog of the files of a source; all SQL of ingest is here."""
