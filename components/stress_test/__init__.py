"""StressTest: metrics on corrupted validation images."""
