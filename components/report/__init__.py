"""One page that says what a run found, for people."""
