"""Several configurations on the same data: run over shared artifacts, then one page about all."""
