"""From a folder of radiographs to checked, split TFRecord shards. `job.ingest` is the entry."""
