"""Where the graph runs: a runner owns paths and engines."""
